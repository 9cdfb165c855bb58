/**
 * What this process knows of one queue: its names on the server, its settings, whether it is paused, and whether suspects wait.
 * Invariant: at most one suspect of a queue is out in one process, so that what it takes down is never another suspect.
 */
import { DEFAULT_SETTINGS, type QueueSettings } from '../../backend.js'
import type { QueueNames } from './names.js'
import { Signal } from './signal.js'

/** Crashes that make a message a suspect: the first may have been its neighbour's. */
export const SUSPECT_CRASHES = 2

/** One queue. */
export class Line {
  readonly name: string
  readonly names: QueueNames
  /** Something changed that those who wait must look at: paused or not, a suspect came or went. */
  readonly changed = new Signal()
  settings: QueueSettings = DEFAULT_SETTINGS
  /** The declaration of its queues, while it is believed to hold. */
  declared: Promise<void> | undefined
  /** Whether that has succeeded. */
  ready = false
  readonly #consuming = new Set<Promise<unknown>>()
  #paused = false
  #suspects = false
  #suspectOut = false

  constructor(name: string, names: QueueNames) {
    this.name = name
    this.names = names
  }

  get paused(): boolean {
    return this.#paused
  }

  set paused(paused: boolean) {
    if (paused === this.#paused) return
    this.#paused = paused
    this.changed.emit()
  }

  /** Whether a suspect may be fetched now. */
  get suspectDue(): boolean {
    return this.#suspects && !this.#suspectOut
  }

  /** Whether suspects are believed to wait. */
  set suspects(suspects: boolean) {
    if (suspects === this.#suspects) return
    this.#suspects = suspects
    if (suspects) this.changed.emit()
  }

  /** Whether one is out in this process, or being fetched. */
  set suspectOut(out: boolean) {
    this.#suspectOut = out
    if (!out && this.#suspects) this.changed.emit()
  }

  /** Something has a consumer on the queue, or changes it. */
  track<T>(consuming: Promise<T>): Promise<T> {
    const done = (): void => void this.#consuming.delete(consuming)
    this.#consuming.add(consuming)
    consuming.then(done, done)
    return consuming
  }

  /** Resolves when all consumers that were there have ended: they do as soon as the line is paused. */
  async quiet(): Promise<void> {
    await Promise.allSettled(this.#consuming)
  }

  /** Where a message with so many crashes waits. */
  home(crashes: number): string {
    return crashes >= SUSPECT_CRASHES ? this.names.suspect : this.names.main
  }
}
