/**
 * A small neural network with tanh layers and a sigmoid at the end, trained by Adam on batches. Plain arrays, no libraries:
 * the point is a real computation that any machine with Node can do. The same seed gives the same network to the last digit.
 */

/** Yields numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A network with layers of the given sizes, the last one of size 1. */
export function createNetwork(sizes, random) {
  return sizes.slice(1).map((outputs, index) => {
    const inputs = sizes[index]
    // Steep first layer: the spirals are narrow against the square that they lie in.
    const scale = (index === 0 ? 4 : 1) * Math.sqrt(2 / (inputs + outputs))
    return {
      inputs,
      outputs,
      weights: parameters(inputs * outputs, () => gaussian(random) * scale),
      biases: parameters(outputs, () => 0),
      activations: new Float64Array(outputs),
      deltas: new Float64Array(outputs),
    }
  })
}

/** How many numbers are learnt. */
export function countParameters(network) {
  return network.reduce((sum, { weights, biases }) => sum + weights.values.length + biases.values.length, 0)
}

/** The probability that a point belongs to the second class. */
export function predict(network, point) {
  let input = point
  network.forEach((layer, depth) => {
    const { inputs, outputs, weights, biases, activations } = layer
    for (let o = 0; o < outputs; o++) {
      let sum = biases.values[o]
      for (let i = 0; i < inputs; i++) sum += weights.values[o * inputs + i] * input[i]
      activations[o] = depth === network.length - 1 ? 1 / (1 + Math.exp(-sum)) : Math.tanh(sum)
    }
    input = activations
  })
  return input[0]
}

/** One step on a batch of samples; gives the summed cross-entropy before the step. */
export function learn(network, batch, { rate, step }) {
  let loss = 0
  for (const { point, label } of batch) {
    const probability = predict(network, point)
    loss -= Math.log(Math.max(1e-12, label === 1 ? probability : 1 - probability))
    network.at(-1).deltas[0] = probability - label
    backward(network, point)
  }
  for (const { weights, biases } of network) for (const part of [weights, biases]) adam(part, batch.length, rate, step)
  return loss
}

function backward(network, point) {
  for (let depth = network.length - 1; depth >= 0; depth--) {
    const { inputs, outputs, weights, biases, deltas } = network[depth]
    const below = depth === 0 ? undefined : network[depth - 1]
    const input = below ? below.activations : point
    below?.deltas.fill(0)
    for (let o = 0; o < outputs; o++) {
      biases.gradient[o] += deltas[o]
      for (let i = 0; i < inputs; i++) {
        weights.gradient[o * inputs + i] += deltas[o] * input[i]
        if (below) below.deltas[i] += deltas[o] * weights.values[o * inputs + i]
      }
    }
    if (below) for (let i = 0; i < inputs; i++) below.deltas[i] *= 1 - input[i] * input[i]
  }
}

function adam({ values, gradient, mean, square }, samples, rate, step) {
  const corrected = (rate * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step)
  for (let k = 0; k < values.length; k++) {
    const g = gradient[k] / samples
    mean[k] = 0.9 * mean[k] + 0.1 * g
    square[k] = 0.999 * square[k] + 0.001 * g * g
    values[k] -= (corrected * mean[k]) / (Math.sqrt(square[k]) + 1e-8)
    gradient[k] = 0
  }
}

function parameters(count, initial) {
  const zeros = () => new Float64Array(count)
  return { values: Float64Array.from({ length: count }, initial), gradient: zeros(), mean: zeros(), square: zeros() }
}

function gaussian(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
