/**
 * The suite of the Transport seam: the items of its contract, unchanged for every way to a machine. What a test needs of the machine it does
 * through the transport itself, so it runs the same on a remote one.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { systemIds } from '@muster/core'
import type { Transport } from '@muster/cluster'
import { describe, expect, onTestFinished, test } from 'vitest'

/** What a transport brings to be proven. */
export interface TransportFactory {
  /** Shown in the names of the tests. */
  readonly name: string
  /** Opens it; the suite closes it. */
  open(): Promise<Transport>
}

/** Declares the tests that a Transport must pass. Call it at the top level of a vitest file. */
export function transportSuite(factory: TransportFactory): void {
  const opened = async (): Promise<Transport> => {
    const transport = await factory.open()
    onTestFinished(() => transport.close())
    return transport
  }
  const directory = async (transport: Transport): Promise<string> => {
    const made = (await transport.run('mktemp -d /tmp/muster-test-XXXXXXXX')).stdout.toString().trim()
    onTestFinished(async () => {
      await using other = await factory.open()
      await other.run(`rm -rf ${made}`)
    })
    return made
  }

  describe(`Transport ${factory.name}`, () => {
    test('1 bytes arrive identical both ways, of any size', async () => {
      const transport = await opened()
      for (const size of [0, 1, 1022, 1024, 8191, 8193, 70_001, 3 * 2 ** 20 + 1]) {
        const bytes = randomBytes(size)
        const { stdout, code } = await transport.run('cat', { stdin: bytes })
        expect(code).toBe(0)
        expect(stdout.equals(bytes), `${size} bytes`).toBe(true)
      }
    })

    test('1 a payload that the script does not read disturbs nothing; one that streams arrives whole', async () => {
      const transport = await opened()
      expect((await transport.run('exit 7', { stdin: randomBytes(2 ** 20) })).code).toBe(7)
      const parts = Array.from({ length: 50 }, () => randomBytes(33_333))
      const streamed = await transport.run('cat', { stdin: arriving(parts) })
      expect(streamed.stdout.equals(Buffer.concat(parts))).toBe(true)
      expect((await transport.run('cat; echo none')).stdout.toString()).toBe('none\n')
    })

    test('1 an opened command is a duplex stream with back-pressure', async () => {
      const transport = await opened()
      const stream = await transport.open({ command: 'cat' })
      const bytes = randomBytes(4 * 2 ** 20)
      const read: Buffer[] = []
      stream.on('data', (chunk: Buffer) => read.push(chunk))
      const ended = once(stream, 'end')
      stream.end(bytes)
      await ended
      expect(Buffer.concat(read).equals(bytes)).toBe(true)
    })

    test('2 exit code, signal, standard output and standard error are kept apart', async () => {
      const transport = await opened()
      const both = await transport.run("printf 'out\\0\\n'; printf 'err' >&2; exit 3")
      expect(both).toMatchObject({ code: 3, signal: null })
      expect(both.stdout.toString()).toBe('out\0\n')
      expect(both.stderr.toString()).toBe('err')
      expect(await transport.run('exit 255')).toMatchObject({ code: 255, signal: null })
      expect(await transport.run('sh -c "exit 143"')).toMatchObject({ code: 143, signal: null })
      expect(await transport.run("exec sh -c 'kill -TERM $$'")).toMatchObject({ code: null, signal: 'SIGTERM' })
    })

    test('2 a syntax error ends its script alone, and no script sees the variables of another', async () => {
      const transport = await opened()
      expect((await transport.run("if then '")).code).not.toBe(0)
      await transport.run('LEAK=1; export LEAK; cd /tmp; set -e; trap "" TERM; exec 2>&-')
      const { stdout } = await transport.run('echo "${LEAK-none} $(pwd)"')
      expect(stdout.toString()).toMatch(/^none \/\n$|^none (?!\/tmp\n)/)
    })

    test('2 many scripts at once get their own answers; a slow one holds up nobody', async () => {
      const transport = await opened()
      const stop = new AbortController()
      const slow = transport.run('sleep 600', { signal: stop.signal })
      const answers = await Promise.all(
        Array.from({ length: 60 }, async (_, n) => (await transport.run(`echo ${n}`)).stdout.toString()),
      )
      expect(answers).toEqual(answers.map((_, n) => `${n}\n`))
      stop.abort()
      await expect(slow).rejects.toThrow()
    })

    test('3 abort rejects at once and leaves no remote process', async () => {
      const transport = await opened()
      const mark = `muster-abort-${systemIds.token()}`
      const stop = new AbortController()
      const script = `: ${mark}; (trap '' TERM; sh -c 'sleep 600; : ${mark}') & sh -c 'sleep 600; : ${mark}' | sh -c 'cat; : ${mark}'`
      const running = transport.run(script, { signal: stop.signal })
      await expect.poll(() => count(transport, mark), { timeout: 15_000 }).toBeGreaterThanOrEqual(3)
      stop.abort(new Error('enough'))
      await expect(running).rejects.toThrow('enough')
      await expect.poll(() => count(transport, mark), { timeout: 15_000 }).toBe(0)
      await expect(transport.run('true', { signal: stop.signal })).rejects.toThrow('enough')
    })

    test('4 put is atomic, makes its directories and sets the mode; get streams from an offset', async () => {
      const transport = await opened()
      const path = `${await directory(transport)}/a b/it's/file`
      await transport.put(path, 'old', { mode: 0o640 })
      const { stdout } = await transport.run(`stat -c %a '${path.replace("'", `'\\''`)}' "$(dirname "${path}")"`)
      expect(stdout.toString()).toBe('640\n700\n')
      const bytes = randomBytes(3 * 2 ** 20)
      await transport.put(path, bytes)
      expect((await all(transport.get(path))).equals(bytes)).toBe(true)
      expect((await all(transport.get(path, { offset: 2 ** 20 }))).equals(bytes.subarray(2 ** 20))).toBe(true)
      expect((await all(transport.get(path, { offset: 5, length: 7 }))).equals(bytes.subarray(5, 12))).toBe(true)
      expect(await all(transport.get(path, { offset: 2 ** 30 }))).toHaveLength(0)
    })

    test('4 a put that fails half way leaves the old content and nothing else', async () => {
      const transport = await opened()
      const path = `${await directory(transport)}/file`
      await transport.put(path, 'old')
      await expect(transport.put(path, failing())).rejects.toThrow('half way')
      expect((await all(transport.get(path))).toString()).toBe('old')
      expect((await transport.run(`ls -A "$(dirname ${path})"`)).stdout.toString()).toBe('file\n')
      await expect(all(transport.get(`${path}.none`))).rejects.toMatchObject({ code: 'FILE_MISSING' })
    })

    test('5 a cut connection is a typed error, never an exit code; the next call finds a new one', async () => {
      const transport = await opened()
      await expect(transport.run('echo partial; kill -9 $$')).rejects.toMatchObject({ code: 'TRANSPORT_LOST' })
      await expect(transport.run('kill -9 $$; cat', { stdin: randomBytes(2 ** 22) })).rejects.toMatchObject({
        code: 'TRANSPORT_LOST',
      })
      expect((await transport.run('echo back')).stdout.toString()).toBe('back\n')
    })

    test('6 a hundred cuts leak no process; close is idempotent and final', async () => {
      const transport = await opened()
      const warnings: string[] = []
      const onWarning = (warning: Error): number => warnings.push(warning.message)
      process.on('warning', onWarning)
      onTestFinished(() => void process.off('warning', onWarning))
      const before = await shells(transport)
      for (let n = 0; n < 100; n += 1) await transport.run('kill -9 $$').catch(() => undefined)
      await expect.poll(() => shells(transport), { timeout: 15_000 }).toBeLessThanOrEqual(before)
      expect(warnings).toEqual([])
      const pending = transport.run('sleep 600')
      const refused = expect(pending).rejects.toMatchObject({ code: 'TRANSPORT_CLOSED' })
      await Promise.all([transport.close(), transport.close()])
      await refused
      await expect(transport.run('true')).rejects.toMatchObject({ code: 'TRANSPORT_CLOSED' })
    })
  })
}

async function* arriving(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(100_000)
  throw new Error('half way')
}

async function all(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

/** How many processes of the machine carry the mark in their command line. The pattern does not match itself. */
async function count(transport: Transport, mark: string): Promise<number> {
  const pattern = `${mark.slice(0, -1)}[${mark.slice(-1)}]`
  const { stdout } = await transport.run(`grep -lsa '${pattern}' /proc/[0-9]*/cmdline | wc -l`)
  return Number(stdout.toString())
}

async function shells(transport: Transport): Promise<number> {
  const { stdout } = await transport.run(
    `n=0; for f in /proc/[0-9]*/stat; do read -r a b c p r <"$f" && [ "$p" = "$PPID" ] && n=$((n + 1)); done 2>/dev/null; echo $n`,
  )
  return Number(stdout.toString())
}
