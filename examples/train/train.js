/**
 * The quickstart's job: teaches a small network to tell two spirals apart. It talks to muster the way any job does: lines on
 * standard output, progress, a result and artifacts in the places that the environment names. Without muster it just runs.
 *
 *   node examples/train/train.js [--epochs 500] [--seed 7]
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { countParameters, createNetwork, learn, predict, randomFrom } from './network.js'
import { drawPicture } from './picture.js'

const { values } = parseArgs({
  options: { epochs: { type: 'string', default: '500' }, seed: { type: 'string', default: '7' } },
})
const epochs = Number(values.epochs)
if (!Number.isInteger(epochs) || epochs < 1) throw new Error('--epochs takes a whole number above 0')

const EXTENT = 1.15
const BATCH = 32
const random = randomFrom(Number(values.seed))
const samples = spirals(240)
const network = createNetwork([2, 32, 32, 1], random)
const losses = []

console.log(`training ${countParameters(network)} parameters on ${samples.length} points for ${epochs} epochs`)
for (let epoch = 1; epoch <= epochs; epoch++) {
  losses.push(trainEpoch(epoch))
  if (epoch % Math.ceil(epochs / 20) === 0 || epoch === epochs) tellProgress(epoch)
}
writeResult()
writePicture()

/** Two arms that wind around each other, with a little noise. */
function spirals(perArm) {
  return Array.from({ length: perArm * 2 }, (_, index) => {
    const label = index % 2
    const t = Math.sqrt((index >> 1) / perArm) * 2.8 * Math.PI
    const radius = 0.06 + t / 9
    const jitter = () => (random() - 0.5) * 0.05
    const angle = t + label * Math.PI
    return { point: [radius * Math.cos(angle) + jitter(), radius * Math.sin(angle) + jitter()], label }
  })
}

function trainEpoch(epoch) {
  const order = shuffled(samples)
  const steps = Math.ceil(order.length / BATCH)
  // Quick at first, then ever finer.
  const rate = 0.002 + 0.008 * 0.5 * (1 + Math.cos((Math.PI * epoch) / epochs))
  let loss = 0
  for (let k = 0; k < steps; k++)
    loss += learn(network, order.slice(k * BATCH, (k + 1) * BATCH), { rate, step: (epoch - 1) * steps + k + 1 })
  return loss / samples.length
}

function shuffled(list) {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j], copy[i]]
  }
  return copy
}

function accuracy() {
  return samples.filter(({ point, label }) => (predict(network, point) > 0.5 ? 1 : 0) === label).length / samples.length
}

function tellProgress(epoch) {
  const message = `loss ${losses.at(-1).toFixed(4)}  accuracy ${(accuracy() * 100).toFixed(1)} %`
  console.log(`epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}  ${message}`)
  if (process.env.MUSTER_PROGRESS)
    appendFileSync(process.env.MUSTER_PROGRESS, `${(epoch / epochs).toFixed(3)} ${message}\n`)
}

function writeResult() {
  const result = { accuracy: accuracy(), loss: losses.at(-1), epochs, parameters: countParameters(network) }
  if (process.env.MUSTER_RESULT) writeFileSync(process.env.MUSTER_RESULT, JSON.stringify(result))
  console.log(`done: accuracy ${(result.accuracy * 100).toFixed(1)} %`)
}

function writePicture() {
  const directory = process.env.MUSTER_ARTIFACTS ?? 'out'
  mkdirSync(directory, { recursive: true })
  const probabilityAt = (x, y) => predict(network, [x, y])
  writeFileSync(
    join(directory, 'spirals.svg'),
    drawPicture({ samples, extent: EXTENT, losses, accuracy: accuracy(), probabilityAt }),
  )
}
