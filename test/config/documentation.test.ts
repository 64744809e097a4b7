import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
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

test('every link of the documents leads to a file, and to a heading in it', async () => {
  const broken: string[] = []
  let links = 0
  for await (const document of glob('{*,docs/*,bench/*/*}.md', { cwd: ROOT })) {
    const text = await readFile(join(ROOT, document), 'utf8')
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      links += 1
      if (!(await leadsSomewhere(document, link))) broken.push(`${document}: ${link}`)
    }
  }
  expect(links).toBeGreaterThan(50)
  expect(broken).toEqual([])
})

async function leadsSomewhere(document: string, link: string): Promise<boolean> {
  const [target = '', heading] = link.split('#')
  const path = target === '' ? join(ROOT, document) : join(ROOT, dirname(document), target)
  if (!existsSync(path)) return false
  return heading === undefined || anchorsOf(await readFile(path, 'utf8')).includes(heading)
}

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
