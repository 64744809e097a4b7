import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** All parts, or those that are named, one after the other: `node bench/scale/run.ts [PART…]`. See README.md. */

const PARTS = ['tasks', 'looks', 'catalogue', 'speed-up', 'predict']
/** All of them take less than ten minutes on two cores; whatever hangs is ended. */
const LONGEST_MS = 8 * 60_000

const asked = process.argv.slice(2)
const unknown = asked.filter((part) => !PARTS.includes(part))
if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')}: ${PARTS.join(', ')}`)
const failed = (asked.length > 0 ? asked : PARTS).filter((part) => !succeeds(part))
console.log(failed.length === 0 ? '\nall parts hold' : `\nFAILED: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

function succeeds(part: string): boolean {
  const script = fileURLToPath(new URL(`./${part}.ts`, import.meta.url))
  const begun = performance.now()
  const { status } = spawnSync(process.execPath, [script], {
    stdio: 'inherit',
    timeout: LONGEST_MS,
  })
  console.log(`${part}: ${Math.round((performance.now() - begun) / 1000)} s`)
  return status === 0
}
