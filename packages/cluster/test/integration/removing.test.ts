/** What is done with goes from its machine, also where the call that was to remove it is cut off or refused. */
import { MusterError } from '@muster/core'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { World } from './world.js'

let world: World
let leading: Leading

beforeEach(async () => {
  world = await World.make('removing')
  leading = await Leading.over(world)
})
afterEach(async () => {
  await leading.close()
  await world.clear()
})

const attempts = (): string[] => readdirSync(join(world.directory, 'machine', 'attempts'))
const state = async (id: string) => (await leading.store.get(id))?.state

const lost = (): never => {
  throw new MusterError('TRANSPORT_LOST', 'cut off')
}
const refused = (): never => {
  throw new MusterError('ATTEMPT_RUNNING', 'left alone', { details: { kept: attempts() } })
}

it.each([
  ['cut off', lost],
  ['refused', refused],
])('a removal that is %s is repeated, though nothing else failed', async (_, removal) => {
  leading.registry.removals.push(removal, removal, removal)
  const ids = await Promise.all(['true', 'false'].map((text) => leading.submit(text)))
  for (const id of ids) await expect.poll(() => state(id)).toMatch(/completed|failed/)
  await expect.poll(attempts).toEqual([])
  expect(leading.registry.removals).toEqual([])
})

it('what is refused again and again is given up, and the next leader looks again', async () => {
  let asked = 0
  const always = (): never => {
    asked += 1
    leading.registry.removals.push(always)
    return refused()
  }
  leading.registry.removals.push(always)
  const id = await leading.submit('true')
  await expect.poll(() => state(id)).toBe('completed')
  await expect.poll(() => asked).toBe(10)
  expect(attempts()).toEqual([`${id}.1`])
  await leading.close()
  leading = await Leading.over(world)
  await expect.poll(attempts).toEqual([])
})
