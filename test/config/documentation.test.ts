import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

test('docs/settings.md is what bin/settings-table.ts prints', async () => {
  const script = join(ROOT, 'bin', 'settings-table.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script])
  expect(stdout).toContain('| `SECRET_KEY`')
  expect(await readFile(join(ROOT, 'docs', 'settings.md'), 'utf8')).toBe(stdout)
})

test('docs/guarantees.md names tests that exist', async () => {
  const text = await readFile(join(ROOT, 'docs', 'guarantees.md'), 'utf8')
  const named = [...text.matchAll(/`((?:test|server)\/[^`]+\.test\.ts)`/g)].map(([, path]) => path)
  expect(named.length).toBeGreaterThan(40)
  const missing = named.filter((path) => !existsSync(join(ROOT, path ?? '')))
  expect(missing).toEqual([])
})

test('every link of the documents leads to a file', async () => {
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'docs/media.md',
    'docs/monitoring.md',
  ]
  const broken: string[] = []
  for (const document of documents) {
    const text = await readFile(join(ROOT, document), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      if (!existsSync(join(ROOT, dirname(document), target))) broken.push(`${document}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})
