// The programs that Videoflix and its tests run, where to look for them, and what each package
// manager calls the package that brings them.
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const MAC_CHROME = '/Applications/Google Chrome.app/Contents/MacOS'

export const PROGRAMS = {
  ffmpeg: {
    label: 'ffmpeg',
    commands: ['ffmpeg'],
    environmentVariable: 'FFMPEG_BIN',
    packages: { apt: 'ffmpeg', brew: 'ffmpeg', dnf: 'ffmpeg', apk: 'ffmpeg', pacman: 'ffmpeg' },
  },
  ffprobe: {
    label: 'ffprobe',
    commands: ['ffprobe'],
    environmentVariable: 'FFPROBE_BIN',
    packages: { apt: 'ffmpeg', brew: 'ffmpeg', dnf: 'ffmpeg', apk: 'ffmpeg', pacman: 'ffmpeg' },
  },
  bubblewrap: {
    label: 'bubblewrap',
    commands: ['bwrap'],
    packages: {
      apt: 'bubblewrap',
      dnf: 'bubblewrap',
      apk: 'bubblewrap',
      pacman: 'bubblewrap',
    },
    otherwise: '(bubblewrap is for Linux only)',
  },
  postgres: {
    label: 'PostgreSQL',
    commands: ['postgres'],
    folders: [
      '/usr/lib/postgresql/*/bin',
      '/usr/pgsql-*/bin',
      '/usr/libexec/postgresql*',
      '/opt/homebrew/opt/postgresql*/bin',
      '/usr/local/opt/postgresql*/bin',
    ],
    packages: {
      apt: 'postgresql',
      brew: 'postgresql@17',
      dnf: 'postgresql-server',
      apk: 'postgresql',
      pacman: 'postgresql',
    },
  },
  pgbouncer: {
    label: 'PgBouncer',
    commands: ['pgbouncer'],
    packages: { apt: 'pgbouncer', brew: 'pgbouncer', dnf: 'pgbouncer', apk: 'pgbouncer' },
    otherwise: '(PgBouncer comes from https://www.pgbouncer.org/)',
  },
  redis: {
    label: 'Redis',
    commands: ['redis-server', 'valkey-server'],
    packages: { apt: 'redis-server', brew: 'redis', dnf: 'valkey', apk: 'redis', pacman: 'valkey' },
  },
  radosgw: {
    label: 'Ceph (radosgw)',
    commands: ['radosgw'],
    packages: { apt: 'radosgw', dnf: 'ceph-radosgw' },
    otherwise: '(Ceph is for Linux only)',
  },
  'ceph-mon': {
    label: 'Ceph (ceph-mon)',
    commands: ['ceph-mon'],
    packages: { apt: 'ceph-mon', dnf: 'ceph-mon' },
    otherwise: '(Ceph is for Linux only)',
  },
  'ceph-osd': {
    label: 'Ceph (ceph-osd)',
    commands: ['ceph-osd'],
    packages: { apt: 'ceph-osd', dnf: 'ceph-osd' },
    otherwise: '(Ceph is for Linux only)',
  },
  nginx: {
    label: 'nginx',
    commands: ['nginx'],
    packages: { apt: 'nginx', brew: 'nginx', dnf: 'nginx', apk: 'nginx', pacman: 'nginx' },
  },
  chromium: {
    label: 'Chromium',
    commands: [
      'chromium',
      'google-chrome-stable',
      'google-chrome',
      'Google Chrome',
      'chromium-browser',
      'chrome',
    ],
    environmentVariable: 'CHROMIUM_BIN',
    folders: [MAC_CHROME, join(homedir(), '.cache/ms-playwright/chromium-*/chrome-linux*')],
    // Ubuntu's is a snap, which can be neither installed in a container nor given a folder in /tmp.
    packages: {
      apt: isUbuntu() ? undefined : 'chromium',
      dnf: 'chromium',
      apk: 'chromium',
      pacman: 'chromium',
    },
    otherwise: 'npx playwright-core install --with-deps chromium',
  },
  firefox: {
    label: 'Firefox',
    commands: ['firefox-esr', 'firefox'],
    environmentVariable: 'FIREFOX_BIN',
    folders: ['/Applications/Firefox.app/Contents/MacOS'],
    // As with Chromium.
    packages: {
      apt: isUbuntu() ? undefined : 'firefox-esr',
      dnf: 'firefox',
      apk: 'firefox-esr',
      pacman: 'firefox',
    },
  },
}

export const NEEDED_BY = {
  start: ['ffmpeg', 'ffprobe'],
  test: Object.keys(PROGRAMS),
}

/**
 * The path of a program, or undefined. A file named by its environment variable counts alone;
 * then PATH, then the folders where distributions hide it, newest version first.
 */
export function findProgram(name) {
  const { commands, environmentVariable, folders = [] } = PROGRAMS[name]
  const named = environmentVariable && process.env[environmentVariable]
  if (named && named.includes('/')) return isExecutable(named) ? named : undefined
  if (named) return onPath(named)
  const searched = [...pathFolders(), ...folders.flatMap(expand)]
  return searchFor(commands, searched)
}

/** Where a command is on PATH, or undefined. */
export const onPath = (command) => searchFor([command], pathFolders())

function searchFor(commands, folders) {
  return commands
    .flatMap((command) => folders.map((folder) => join(folder, command)))
    .find(isExecutable)
}

// The sbin folders are where Debian keeps nginx, and not on an ordinary user's PATH.
function pathFolders() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return [...new Set([...folders, '/usr/local/sbin', '/usr/sbin'])]
}

/** Expands the `*`s of one folder pattern (Node 20 has no glob), highest number first. */
function expand(pattern) {
  const star = pattern.split('/').findIndex((part) => part.includes('*'))
  if (star === -1) return [pattern]
  const parts = pattern.split('/')
  const parent = parts.slice(0, star).join('/')
  const [start, end] = parts[star].split('*')
  return list(parent)
    .filter((name) => name.startsWith(start) && name.endsWith(end))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .flatMap((name) => expand([parent, name, ...parts.slice(star + 1)].join('/')))
}

function isUbuntu() {
  try {
    return /^ID=ubuntu$/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

function list(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
