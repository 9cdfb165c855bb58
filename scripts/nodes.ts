/** `npm run test:nodes`: the unit tests on every release of Node that muster supports beside the present one. */
import { nodeSteps } from './lib/nodes.js'
import { runSteps } from './lib/steps.js'

process.exitCode = (await runSteps(nodeSteps, 1)) ? 0 : 1
