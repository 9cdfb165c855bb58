/** The local backend against the contract of its seam. */
import { systemIds } from '@muster/core'
import { openBackend } from '@muster/orchestrator'
import { queueBackendSuite } from '@muster/testing'
import { LOCAL_CAPABILITIES } from '../../src/backends/local.js'

queueBackendSuite({
  name: 'local',
  capabilities: LOCAL_CAPABILITIES,
  open: ({ namespace, clock }) => openBackend('local', { namespace, clock, ids: systemIds }),
})
