/**
 * Lines of a job are hostile on a terminal: they could move the cursor, rename the window or answer queries. All control
 * sequences go but colours (SGR), and so do stray control characters; `--raw` keeps every byte.
 */

/**
 * In order: colour (kept), other CSI sequences, strings (OSC, DCS, SOS, PM, APC) to their terminator or the line's end, other
 * escapes, and control characters but the tab. The 8-bit forms (U+0080..U+009F) count as what they abbreviate.
 */
const CONTROL =
  /(\x1b\[[0-9;:]*m)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g

/** The line without control sequences; with `colour`, its colours stay, and are switched off at its end. */
export function sanitize(line: string, colour: boolean): string {
  const clean = lastFrame(line).replaceAll(CONTROL, (_, sgr: string | undefined) => (colour ? (sgr ?? '') : ''))
  return clean.includes('\u001b') ? `${clean}\u001b[0m` : clean
}

/** What a progress bar that redraws itself with carriage returns shows in the end. */
function lastFrame(line: string): string {
  const trimmed = line.endsWith('\r') ? line.slice(0, -1) : line
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1)
}
