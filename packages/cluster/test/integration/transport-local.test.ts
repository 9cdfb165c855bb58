/** The machine at hand against the contract of its seam, on every shell that is here; and what keeps a process alive. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { localTransport } from '@muster/cluster'
import { transportSuite } from '@muster/testing'
import { expect, test } from 'vitest'

const SHELLS = [['/bin/sh'], ['/bin/bash', '--posix'], ['/usr/bin/busybox', 'sh']] as const

for (const shell of SHELLS.filter(([path]) => existsSync(path))) {
  transportSuite({ name: `local, ${shell.join(' ')}`, open: async () => localTransport({ shell }) })
}

async function program(body: string): Promise<{ code: number | null; stdout: string }> {
  const source = `import { localTransport } from '@muster/cluster'\nconst machine = localTransport()\n${body}`
  const args = ['--input-type=module', '-e', source]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 })
  let stdout = ''
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout }
}

test('6 an idle transport keeps no process alive, a pending run does', async () => {
  const idle = await program(`await machine.run('true')\nawait machine.open({ command: 'cat' })\nconsole.log('idle')`)
  expect(idle).toEqual({ code: 0, stdout: 'idle\n' })
  const pending = await program(`console.log((await machine.run('sleep 0.3; echo done')).stdout.toString())`)
  expect(pending).toEqual({ code: 0, stdout: 'done\n\n' })
})

test('12 a variable that names a profile, or prints in one, reaches no script', async () => {
  const machine = localTransport()
  try {
    const { stdout } = await machine.run('env')
    const names = stdout
      .toString()
      .split('\n')
      .map((line) => line.split('=')[0])
    expect(names).toEqual(expect.arrayContaining(['HOME', 'LC_ALL', 'PATH']))
    expect(names).not.toEqual(expect.arrayContaining(['ENV']))
    expect(names).not.toEqual(expect.arrayContaining(['BASH_ENV']))
  } finally {
    await machine.close()
  }
})
