/** @muster/cli: the `muster` command. */
export { main } from './main.js'
