#!/usr/bin/env node
// `npm ci` refuses a lock file that lacks a package built for some other platform, and `npm install`
// leaves such a package out when it cannot see it (https://github.com/npm/cli/issues/4828).
// This finds the gaps; with --fix it fills them in (platforms are in the packages' names).
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]
const PROCESSORS = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
]
const C_LIBRARIES = { gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' }

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const gaps = Object.entries(lock.packages).flatMap(([path, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isLocked(path, name))
    .map(([name, version]) => [name, platformEntry(name, version, entry)]),
)

if (gaps.length > 0 && process.argv.includes('--fix')) {
  for (const [name, entry] of gaps) lock.packages[`node_modules/${name}`] ??= entry
  const [root, ...others] = Object.entries(lock.packages)
  others.sort(([a], [b]) => a.localeCompare(b, 'en'))
  lock.packages = Object.fromEntries([root, ...others])
  writeFileSync(FILE, JSON.stringify(lock, null, 2) + '\n')
} else if (gaps.length > 0) {
  for (const [name] of gaps) console.log(`package-lock.json lacks ${name}`)
  console.log('Run `node bin/lock-file.mjs --fix`; without it `npm ci` fails.')
  process.exitCode = 1
}

function isLocked(path, name) {
  return [`${path}/node_modules/${name}`, `node_modules/${name}`].some((at) => lock.packages[at])
}

function platformEntry(name, version, { dev, license }) {
  const words = name.split(/[-/]/)
  const os = words.filter((word) => SYSTEMS.includes(word))
  const cpu = words.filter((word) => PROCESSORS.includes(word))
  const libc = words.flatMap((word) => (os.includes('linux') && C_LIBRARIES[word]) || [])
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc.length > 0 && { libc }),
    ...(license && { license }),
    optional: true,
    ...(os.length > 0 && { os }),
  }
}
