/** Lifecycle: close runs once, and background tasks are waited for and never float. */
import { describe, expect, it } from 'vitest'
import { TaskGroup, closeOnce } from '../../src/service.js'

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('closeOnce', () => {
  it('runs the teardown once, and every caller waits for that run', async () => {
    let runs = 0
    const { opened, open } = gate()
    const close = closeOnce(async () => {
      runs += 1
      await opened
    })
    const calls = [close(), close()]
    let done = false
    const all = Promise.all(calls).then(() => (done = true))
    await Promise.resolve()
    expect(done).toBe(false)
    open()
    await all
    await close()
    expect(runs).toBe(1)
  })

  it('gives every caller the failure of that run', async () => {
    const close = closeOnce(() => Promise.reject(new Error('disk gone')))
    await expect(close()).rejects.toThrow('disk gone')
    await expect(close()).rejects.toThrow('disk gone')
  })
})

describe('TaskGroup', () => {
  it('waits for its tasks, those started meanwhile included', async () => {
    const order: string[] = []
    const group = new TaskGroup((error) => order.push(String(error)))
    const { opened, open } = gate()
    group.run(async () => {
      await opened
      order.push('first')
      group.run(async () => {
        await Promise.resolve()
        order.push('second')
      })
    })
    expect(group.size).toBe(1)
    open()
    await group.settled()
    expect(order).toEqual(['first', 'second'])
    expect(group.size).toBe(0)
  })

  it('reports what a task throws, and forgets the task', async () => {
    const errors: unknown[] = []
    const group = new TaskGroup((error) => errors.push(error))
    const failure = new Error('lost')
    group.run(() => Promise.reject(failure))
    await group.settled()
    expect(errors).toEqual([failure])
    expect(group.size).toBe(0)
  })
})
