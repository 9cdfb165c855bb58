/**
 * Container engine and image for the integration tests, so that no test waits for a build. Where there can be none, the tests
 * that need it say so themselves and the others run. At the end no machine of this run may be left: a test forgot it.
 */
import { holdEngine } from '../../scripts/lib/engine.js'

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  try {
    const release = await holdEngine(console.log)
    const { removeMachinesOfRun, serverImage } = await import('@muster/testing/servers')
    await serverImage(console.log)
    return async () => {
      const left = await removeMachinesOfRun()
      await release()
      if (left.length === 0) return
      console.error(`FAIL  tests left machines behind, now removed: ${left.join(', ')}`)
      // An error thrown here would be shown, but vitest would end as if all were well.
      process.exitCode = 1
    }
  } catch (error) {
    console.error(`no machines in containers: ${String(error)}`)
    return undefined
  }
}
