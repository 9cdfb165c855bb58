import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { copyArtifacts, listArtifacts } from '../../src/handle/artifacts.js'

let root: string
let from: string
let target: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'muster-test-artifacts-'))
  from = join(root, 'from')
  target = join(root, 'target')
  await mkdir(join(from, 'deep', 'er'), { recursive: true })
  await writeFile(join(from, 'a.txt'), 'a')
  await writeFile(join(from, 'deep', 'er', 'b.txt'), 'bb')
})
afterEach(() => rm(root, { recursive: true, force: true }))

test('10 artifacts are copied with their directories, and replace an earlier copy', async () => {
  await mkdir(target)
  await writeFile(join(target, 'a.txt'), 'old')
  const copied = await copyArtifacts(from, target)
  expect(copied).toEqual([
    { path: 'a.txt', bytes: 1, file: join(target, 'a.txt') },
    { path: 'deep/er/b.txt', bytes: 2, file: join(target, 'deep/er/b.txt') },
  ])
  expect(await readFile(join(target, 'a.txt'), 'utf8')).toBe('a')
  expect(await readFile(join(target, 'deep/er/b.txt'), 'utf8')).toBe('bb')
})

test('10 a link in the target is not followed, neither as a directory nor as a file', async () => {
  const outside = join(root, 'outside')
  await mkdir(outside)
  await mkdir(target)
  await symlink(outside, join(target, 'deep'))
  await expect(copyArtifacts(from, target)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await listArtifacts(outside)).toEqual([])

  await writeFile(join(root, 'precious'), 'untouched')
  await rm(join(target, 'a.txt'))
  await symlink(join(root, 'precious'), join(target, 'a.txt'))
  await expect(copyArtifacts(from, target)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await readFile(join(root, 'precious'), 'utf8')).toBe('untouched')
})

test('10 a link among the artifacts is left out', async () => {
  await symlink('/etc/passwd', join(from, 'link'))
  await symlink('/etc', join(from, 'directory'))
  expect((await listArtifacts(from)).map(({ path }) => path)).toEqual(['a.txt', 'deep/er/b.txt'])
})

test('without artifacts the list is empty', async () => {
  expect(await listArtifacts(join(root, 'nowhere'))).toEqual([])
})
