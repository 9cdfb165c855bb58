/**
 * The suite of the Launcher seam: the items of its contract, unchanged for every launcher that runs attempts behind a Transport. What a test
 * plants or looks for on the machine goes through the transport, so the machine may be a remote one.
 */
import { describe } from 'vitest'
import { endSection } from './launcher/ends.js'
import { hostileSection } from './launcher/hostile.js'
import type { LauncherFactory } from './launcher/kit.js'
import { logSection } from './launcher/logs.js'
import { startSection } from './launcher/start.js'
import { stopSection } from './launcher/stop.js'

export type { LauncherBench, LauncherFactory, LauncherSetup } from './launcher/kit.js'

/** Declares the tests that a Launcher must pass. Call it at the top level of a vitest file. */
export function launcherSuite(factory: LauncherFactory): void {
  describe(`Launcher ${factory.name}`, () => {
    describe('start and adopt', () => startSection(factory))
    describe('ends', () => endSection(factory))
    describe('logs', () => logSection(factory))
    describe('stop', () => stopSection(factory))
    describe('hostile input and output, removal', () => hostileSection(factory))
  })
}
