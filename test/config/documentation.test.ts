import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

test('docs/settings.md is what bin/settings-table.ts prints', async () => {
  const script = join(ROOT, 'bin', 'settings-table.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script])
  expect(stdout).toContain('| `SECRET_KEY`')
  expect(await readFile(join(ROOT, 'docs', 'settings.md'), 'utf8')).toBe(stdout)
})
