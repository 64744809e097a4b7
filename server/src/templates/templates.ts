import { join } from 'node:path'
import { Eta } from 'eta'

/** Values are escaped for HTML wherever a template writes them. */
const eta = new Eta({ views: import.meta.dirname, cache: true, autoEscape: true })

/** A whole HTML page or mail. `name` is a file in this folder, without its extension. */
export function render(name: string, values: object): string {
  return eta.render(join('/', name), values)
}
