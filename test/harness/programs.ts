import { findProgram, PROGRAMS, type ProgramName } from '../../bin/setup/programs.mjs'

/** Whether a program is there: a suite that needs one is skipped without, `describe.skipIf(!has('redis'))`. */
export const has = (name: ProgramName): boolean => findProgram(name) !== undefined

export function programPath(name: ProgramName): string {
  const path = findProgram(name)
  if (!path)
    throw new Error(`${PROGRAMS[name].label} is not on this machine; run \`npm run setup\``)
  return path
}
