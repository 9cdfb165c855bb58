/** A script inside a container, to its end. Invariant: the exit code is the script's, and both outputs are complete. */
import { buffer } from 'node:stream/consumers'
import type { EngineContainer } from './engine.js'

/** How a script inside a machine ended. */
export interface Executed {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Who runs a script inside a machine (root by default), and what it reads. */
export interface ExecOptions {
  readonly user?: string
  readonly stdin?: string
}

/** Runs `script` with the machine's /bin/sh. Rejects only when the engine cannot run it at all. */
export async function exec(container: EngineContainer, script: string, options: ExecOptions = {}): Promise<Executed> {
  const running = await container.exec({
    Cmd: ['/bin/sh', '-c', script],
    User: options.user ?? 'root',
    AttachStdin: options.stdin !== undefined,
    AttachStdout: true,
    AttachStderr: true,
  })
  const stream = await running.start({ hijack: true, stdin: options.stdin !== undefined })
  if (options.stdin !== undefined) stream.end(options.stdin)
  const outputs = apart(await buffer(stream))
  return { code: (await running.inspect()).ExitCode ?? -1, ...outputs }
}

/** The engine sends both outputs on one stream, in frames: which output, three zeros, length, bytes. */
function apart(frames: Buffer): { readonly stdout: string; readonly stderr: string } {
  const outputs: [Buffer[], Buffer[]] = [[], []]
  for (let at = 0; at + 8 <= frames.length;) {
    const end = at + 8 + frames.readUInt32BE(at + 4)
    outputs[frames[at] === 2 ? 1 : 0].push(frames.subarray(at + 8, end))
    at = end
  }
  const [stdout, stderr] = outputs.map((parts) => Buffer.concat(parts).toString())
  return { stdout: stdout ?? '', stderr: stderr ?? '' }
}
