/** What the training came to, as a picture: the plane as the network divides it, and the loss on its way down. */

const WIDTH = 960
const HEIGHT = 520
const CELLS = 80
const PANEL = { x: 40, y: 84, size: 400 }
const CHART = { x: 520, y: 104, width: 400, height: 360 }
const FIRST = [37, 99, 235]
const SECOND = [234, 88, 12]
const PAPER = [250, 250, 249]
const FONT = 'font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif"'

/** An SVG. `probabilityAt(x, y)` is asked over the square of side 2 x `extent`. */
export function drawPicture({ samples, extent, losses, accuracy, probabilityAt }) {
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fafaf9"/>`,
    text(PANEL.x, 44, 'Two spirals, told apart', 22, '#1c1917', 'font-weight="600"'),
    text(PANEL.x, 68, `${samples.length} points, accuracy ${(accuracy * 100).toFixed(1)} %`, 14, '#78716c'),
    plane(extent, probabilityAt),
    ...samples.map((sample) => dot(sample, extent)),
    text(CHART.x, 44, 'Loss', 22, '#1c1917', 'font-weight="600"'),
    text(CHART.x, 68, `cross-entropy per point over ${losses.length} epochs, logarithmic`, 14, '#78716c'),
    ...curve(losses),
  ]
  const style = `xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ${FONT}`
  return `<svg ${style}>\n<defs><linearGradient id="under" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#0d9488" stop-opacity="0.28"/><stop offset="1" stop-color="#0d9488" stop-opacity="0"/></linearGradient><clipPath id="panel"><rect x="${PANEL.x}" y="${PANEL.y}" width="${PANEL.size}" height="${PANEL.size}" rx="14"/></clipPath></defs>\n${parts.join('\n')}\n</svg>\n`
}

/** Rows of rectangles; neighbours of one colour are one rectangle, which keeps the file small. */
function plane(extent, probabilityAt) {
  const side = PANEL.size / CELLS
  const at = (index) => ((index + 0.5) / CELLS) * 2 * extent - extent
  const cells = []
  for (let row = 0; row < CELLS; row++) {
    const colours = Array.from({ length: CELLS }, (_, column) => shade(probabilityAt(at(column), -at(row))))
    for (let from = 0, to; from < CELLS; from = to) {
      for (to = from + 1; to < CELLS && colours[to] === colours[from]; to++);
      const place = `x="${(PANEL.x + from * side).toFixed(1)}" y="${(PANEL.y + row * side).toFixed(1)}"`
      const size = `width="${((to - from) * side + 0.5).toFixed(1)}" height="${(side + 0.5).toFixed(1)}"`
      cells.push(`<rect ${place} ${size} fill="${colours[from]}"/>`)
    }
  }
  return `<g clip-path="url(#panel)">${cells.join('')}</g>`
}

/** From one class's colour over paper, where the network is undecided, to the other's, in sixteen steps each. */
function shade(probability) {
  const certain = Math.round(Math.abs(probability - 0.5) * 32) / 16
  const target = probability < 0.5 ? FIRST : SECOND
  const mix = PAPER.map((paper, channel) => Math.round(paper + (target[channel] - paper) * 0.42 * certain))
  return `#${mix.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
}

function dot({ point: [x, y], label }, extent) {
  const scale = PANEL.size / (2 * extent)
  const cx = (PANEL.x + (x + extent) * scale).toFixed(1)
  const cy = (PANEL.y + (extent - y) * scale).toFixed(1)
  return `<circle cx="${cx}" cy="${cy}" r="3.4" fill="rgb(${(label === 0 ? FIRST : SECOND).join(',')})" stroke="#fff" stroke-width="1"/>`
}

function curve(losses) {
  const logs = losses.map((loss) => Math.log10(Math.max(1e-6, loss)))
  const top = Math.ceil(Math.max(...logs) * 2) / 2
  const bottom = Math.floor(Math.min(...logs))
  const x = (index) => CHART.x + (index / Math.max(1, losses.length - 1)) * CHART.width
  const y = (log) => CHART.y + ((top - log) / (top - bottom)) * CHART.height
  const points = logs.map((log, index) => `${x(index).toFixed(1)},${y(log).toFixed(1)}`)
  const floor = CHART.y + CHART.height
  const grid = []
  for (let decade = bottom; decade <= top; decade++)
    grid.push(
      `<line x1="${CHART.x}" x2="${CHART.x + CHART.width}" y1="${y(decade)}" y2="${y(decade)}" stroke="#e7e5e4"/>`,
      text(
        CHART.x - 8,
        y(decade) + 4,
        String(Number((10 ** decade).toPrecision(1))),
        12,
        '#a8a29e',
        'text-anchor="end"',
      ),
    )
  return [
    ...grid,
    `<polygon points="${CHART.x},${floor} ${points.join(' ')} ${CHART.x + CHART.width},${floor}" fill="url(#under)"/>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#0d9488" stroke-width="2.4" stroke-linejoin="round"/>`,
    text(CHART.x, floor + 20, '1', 12, '#a8a29e'),
    text(CHART.x + CHART.width, floor + 20, `epoch ${losses.length}`, 12, '#a8a29e', 'text-anchor="end"'),
  ]
}

function text(x, y, content, size, fill, more = '') {
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" ${more}>${content}</text>`
}
