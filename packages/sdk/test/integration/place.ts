/** A record of its own for one test, with everything beside it, and the musters opened on it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type Muster, type OpenOptions } from '@muster/sdk'

/** Where one test keeps its record and its machine's state. */
export class Place {
  readonly root: string
  readonly #opened: Muster[] = []

  private constructor(root: string) {
    this.root = root
  }

  static async make(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), 'muster-test-sdk-')))
  }

  /** What open() is called with here. */
  get options(): OpenOptions {
    return {
      cwd: this.root,
      store: `sqlite:${join(this.root, 'jobs.db')}`,
      machines: [{ name: 'local', transport: 'local', cpus: 4, stateDir: join(this.root, 'machine') }],
    }
  }

  async open(options: OpenOptions = {}): Promise<Muster> {
    const muster = await open({ ...this.options, ...options })
    this.#opened.push(muster)
    return muster
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((muster) => muster.close()))
    await rm(this.root, { recursive: true, force: true })
  }
}
