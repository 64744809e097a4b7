import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const TESTS = join(import.meta.dirname, '..')

/** Journeys that run on one backend alone: why nothing would be learned from the other, and which they are. */
const ON_ONE_BACKEND: Record<string, string[]> = {
  'It is about PostgreSQL.': [
    'database/favorites.test.ts',
    'database/outage.test.ts',
    'database/pgbouncer.test.ts',
    'database/tls.test.ts',
    'database/work-goes-on.test.ts',
    'monitoring/outage.test.ts',
  ],
  'It is about Redis.': ['redis/outage.test.ts', 'redis/throttles.test.ts'],
  'It is about S3, with either database.': [
    'harness/harness.test.ts',
    'moving/migrate-storage.test.ts',
    'moving/switch-storage.test.ts',
    'pages/s3.test.ts',
    'storage/s3.test.ts',
    'workers/orphans-in-bucket.test.ts',
  ],
  'It is about several machines, which share no SQLite file.': [
    'faults/site.test.ts',
    'faults/storage.test.ts',
    'uploads/several-servers.test.ts',
    'workers/drain.test.ts',
    'workers/separate-machines.test.ts',
  ],
  'It is about one machine that has all: its disk, its memory, its one process.': [
    'faults/full-disk.test.ts',
    'faults/kill.test.ts',
    'newcomer.test.ts',
    'uploads/memory.test.ts',
  ],
  'It is about settings, connections and the heads of requests: no database has a part in it.': [
    'attacks/client-address.test.ts',
    'attacks/configuration.test.ts',
    'attacks/hosts.test.ts',
    'attacks/origins.test.ts',
    'attacks/slow-sockets.test.ts',
    'deploy/nginx.test.ts',
    'http/openapi.test.ts',
    'http/origins.test.ts',
    'http/pages.test.ts',
    'http/throttling.test.ts',
    'monitoring/metrics-access.test.ts',
    'monitoring/worker.test.ts',
  ],
  'It looks at all services there are, PostgreSQL among them where it is installed.': [
    'monitoring/dashboards.test.ts',
  ],
  'It is about ffmpeg, browsers, mails, spans or the clock; the routes it uses are tried on both elsewhere.':
    [
      'attacks/hostile-files.test.ts',
      'attacks/timing.test.ts',
      'cli/commands.test.ts',
      'monitoring/traces.test.ts',
      'openid/browser.test.ts',
      'pages/admin.test.ts',
      'pages/processing.test.ts',
      'storage/playing.test.ts',
    ],
}

/** What starts the program; in time also every function of the harness that calls one of them. */
const STARTERS = ['startApp', 'startServer', 'startCli']
const EXPORTED_FUNCTION = /^export (?:async )?function (\w+)[\s\S]*?^}$/gm

const sources = new Map<string, string>()
for (const name of await readdir(TESTS, { recursive: true })) {
  if (name.endsWith('.ts')) sources.set(name, await readFile(join(TESTS, name), 'utf8'))
}
const isTest = (name: string): boolean => name.endsWith('.test.ts')

function calls(text: string, names: Iterable<string>): boolean {
  return [...names].some((name) => new RegExp(`\\b${name}\\(`).test(text))
}

/** Names of functions that start the program, themselves or by another. */
function starters(): Set<string> {
  const names = new Set(STARTERS)
  const helpers = [...sources].filter(([name]) => !isTest(name)).map(([, text]) => text)
  const functions = helpers.flatMap((text) => [...text.matchAll(EXPORTED_FUNCTION)])
  for (let before = 0; before < names.size;) {
    before = names.size
    for (const [body, name = ''] of functions) if (calls(body, names)) names.add(name)
  }
  return names
}

test('every journey runs on both backends, or it is written down here why not', () => {
  const names = starters()
  const journeys = [...sources].filter(([name, text]) => isTest(name) && calls(text, names))
  const onOne = journeys
    .filter(([, text]) => !/\beach\(BACKENDS\b/.test(text))
    .map(([name]) => name)
  const excused = Object.values(ON_ONE_BACKEND).flat()
  expect(journeys.length).toBeGreaterThan(80)
  expect({
    'give it describe.each(BACKENDS), or a reason': onOne.filter((name) => !excused.includes(name)),
    'has no need of its reason any more': excused.filter((name) => !onOne.includes(name)),
  }).toEqual({
    'give it describe.each(BACKENDS), or a reason': [],
    'has no need of its reason any more': [],
  })
})
