import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { BACKENDS, startApp } from '../harness/app.ts'
import { aReadyVideo } from '../videos/library.ts'
import { scrape } from './scrape.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const read = (path: string) => readFile(join(ROOT, path), 'utf8')

interface Panel {
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: { uid: string }
  targets?: { expr: string }[]
}

interface Dashboard {
  templating: { list: { name: string; definition?: string }[] }
  panels: Panel[]
}

interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[]
}

const dashboard = async () => JSON.parse(await read('deploy/grafana/videoflix.json')) as Dashboard
const alerts = async () =>
  (parse(await read('deploy/prometheus/videoflix.rules.yml')) as Rules).groups.flatMap(
    ({ rules }) => rules,
  )

/** All that the dashboard and the alerts ask for. */
async function expressions(): Promise<string[]> {
  const { panels, templating } = await dashboard()
  return [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...templating.list.flatMap(({ definition }) => definition ?? []),
    ...(await alerts()).map(({ expr }) => expr),
  ]
}

/** Only where there is PostgreSQL, and Redis. */
const OF_SERVICES = /^videoflix_(redis_up|database_connections)$/
/** Prometheus makes it itself. */
const OF_PROMETHEUS = 'up'

const metricsIn = (expression: string): string[] =>
  [...expression.matchAll(/\b(?:videoflix|nodejs|process)_\w+|\bup\b/g)].map(([name]) => name)

/** `{kind="x", state=~"a|b"}` as pairs of a label and what it may be; variables of Grafana may be anything. */
function choicesIn(expression: string): { name: string; label: string; value: string }[] {
  return [...expression.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name = '', selectors = '']) =>
    [...selectors.matchAll(/(\w+)=~?"([^"]*)"/g)]
      .filter(([, label, value]) => label !== 'job' && !value?.startsWith('$'))
      .flatMap(([, label = '', values = '']) =>
        values.split('|').map((value) => ({ name, label, value })),
      ),
  )
}

test('what the dashboard and the alerts ask for exists', async () => {
  const asked = await expressions()
  expect(asked.length).toBeGreaterThan(30)
  const names = new Set(asked.flatMap(metricsIn))
  names.delete(OF_PROMETHEUS)
  expect(names.size).toBeGreaterThan(15)

  const backend = BACKENDS.at(-1) ?? 'sqlite'
  await using app = await startApp({ backend })
  await aReadyVideo(app, await app.superuser())
  const samples = await scrape(app.client())
  const told = new Set(samples.map(({ name }) => name))
  const missing = [...names].filter(
    (name) => !told.has(name) && (backend === 'postgres' || !OF_SERVICES.test(name)),
  )
  expect(missing).toEqual([])

  // No 5xx has happened, and none should.
  const choices = asked.flatMap(choicesIn).filter(({ value }) => value !== '5xx')
  expect(choices.length).toBeGreaterThan(5)
  const impossible = choices.filter(
    ({ name, label, value }) =>
      told.has(name) && !samples.some((each) => each.name === name && each.labels[label] === value),
  )
  expect(impossible).toEqual([])
})

describe('the dashboard', () => {
  test('can be imported anywhere: its data source is chosen', async () => {
    const { panels, templating } = await dashboard()
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'route'])
    const sources = new Set(panels.flatMap(({ datasource }) => datasource?.uid ?? []))
    expect([...sources]).toEqual(['${datasource}'])
  })

  test('has panels that do not overlap', async () => {
    const { panels } = await dashboard()
    const taken = new Map<string, string>()
    for (const { title, gridPos } of panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.get(`${x},${y}`)]).toEqual([title, undefined])
          taken.set(`${x},${y}`, title)
          expect(x).toBeLessThan(24)
        }
      }
    }
  })
})

test('every alert is explained, in itself and in docs/monitoring.md', async () => {
  const page = await read('docs/monitoring.md')
  const rules = await alerts()
  expect(rules.length).toBeGreaterThan(5)
  for (const { alert, annotations } of rules) {
    expect(annotations['summary']).toBeTruthy()
    expect(annotations['description']).toBeTruthy()
    expect(page).toContain(`\`${alert}\``)
  }
})

test('docs/monitoring.md names all of our metrics, and no others', async () => {
  await using app = await startApp({ backend: BACKENDS.at(-1) ?? 'sqlite' })
  const text = await (await app.client().get('/metrics')).text()
  const told = [...text.matchAll(/^# TYPE (videoflix_\w+)/gm)].map(([, name]) => name)
  const page = await read('docs/monitoring.md')
  const named = [...page.matchAll(/^\| `(videoflix_\w+)`/gm)].map(([, name]) => name)
  expect(told.length).toBeGreaterThan(8)
  expect(told.filter((name) => !named.includes(name))).toEqual([])
  const isOfServices = (name = ''): boolean => OF_SERVICES.test(name) && BACKENDS.length === 1
  expect(named.filter((name) => !told.includes(name) && !isOfServices(name))).toEqual([])
})
