/**
 * Objects are checked on every way in. These complaints are ignored, since honest old repositories have them (zero-padded
 * modes, odd author lines); what could harm a checkout (.git in a tree, links as .gitmodules) still refuses.
 */
export const RELAXED = [
  'zeroPaddedFilemode',
  'badTimezone',
  'missingEmail',
  'badEmail',
  'badName',
  'missingNameBeforeEmail',
  'missingSpaceBeforeEmail',
  'missingSpaceBeforeDate',
  'zeroPaddedDate',
  'badDate',
  'badDateOverflow',
  'multipleAuthors',
] as const

/** For index-pack, which reads no configuration here: `--strict=…`. */
export const STRICT = `--strict=${RELAXED.map((id) => `${id}=ignore`).join(',')}`

/** For fetch, as options before the command. */
export const FETCH_FSCK = [
  '-c',
  'fetch.fsckObjects=true',
  ...RELAXED.flatMap((id) => ['-c', `fetch.fsck.${id}=ignore`]),
] as const
