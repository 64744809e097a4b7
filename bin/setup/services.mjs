import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { aptInstall } from './apt.mjs'
import { findProgram, NEEDED_BY, onPath, PROGRAMS } from './programs.mjs'
import { SetupError } from './run.mjs'

const INSTALL = {
  apt: ['apt-get', 'sudo apt-get install --no-install-recommends'],
  brew: ['brew', 'brew install'],
  dnf: ['dnf', 'sudo dnf install'],
  apk: ['apk', 'sudo apk add'],
  pacman: ['pacman', 'sudo pacman -S'],
}

/** The names of the programs that a command needs and this machine has not. */
export const missingPrograms = (command) => NEEDED_BY[command].filter((name) => !findProgram(name))

export async function installPrograms(missing, root) {
  refuseWrongSettings(missing)
  const packages = packagesFor(missing, 'apt')
  const isRoot = process.getuid?.() === 0
  if (!isRoot || packageManager() !== 'apt' || packages.length === 0) return
  console.log(`Installing ${labels(missing)} with apt-get…`)
  await aptInstall(packages, root)
}

/** Fails when something essential is still missing, and reports what is not. */
export function reportMissing(command, file) {
  const missing = missingPrograms(command)
  const essential = missing.filter((name) => NEEDED_BY.start.includes(name))
  if (essential.length > 0)
    throw new SetupError(
      `Videoflix needs ${labels(essential)}. Install with: ${installCommand(missing)}`,
    )
  if (command !== 'test') return
  if (missing.length === 0) return rmSync(file, { force: true })
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(missing.map((name) => PROGRAMS[name].label)) + '\n')
  const how = `Install with: ${installCommand(missing)}`
  if (process.env.CI === 'true') throw new SetupError(`The tests need ${labels(missing)}. ${how}`)
  console.log(`Tests that need ${labels(missing)} will be skipped. ${how}`)
}

function refuseWrongSettings(missing) {
  for (const name of missing) {
    const { environmentVariable: variable, commands } = PROGRAMS[name]
    const value = variable && process.env[variable]
    if (value && !commands.includes(value))
      throw new SetupError(`${variable} is ${value}, which cannot be run.`)
  }
}

function installCommand(missing) {
  const manager = packageManager()
  const inPackage = missing.filter((name) => packagesFor([name], manager).length > 0)
  const others = missing.filter((name) => !inPackage.includes(name))
  const commands = others.map((name) => PROGRAMS[name].otherwise ?? `(see ${name}'s website)`)
  if (inPackage.length > 0)
    commands.unshift(`${INSTALL[manager][1]} ${packagesFor(inPackage, manager).join(' ')}`)
  return commands.join(' && ')
}

const packageManager = () => Object.keys(INSTALL).find((name) => onPath(INSTALL[name][0]))

const packagesFor = (names, manager) => [
  ...new Set(names.map((name) => PROGRAMS[name].packages[manager ?? '']).filter(Boolean)),
]

const labels = (names) =>
  new Intl.ListFormat('en').format(names.map((name) => PROGRAMS[name].label))
