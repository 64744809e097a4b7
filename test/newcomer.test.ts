import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startServer } from './harness/process.ts'
import { temporaryFolder } from './harness/temporary-folder.ts'

const README = fileURLToPath(new URL('../README.md', import.meta.url))
const HEADING = 'A first film in five minutes'
/** Where the README says that the server is. */
const ORIGIN = /http:\/\/127\.0\.0\.1:8000\b/g

test('whoever follows the README has a film playing at the end', async () => {
  const section = sectionOf(await readFile(README, 'utf8'), HEADING)
  const commands = blocksOf(section, 'bash')
  expect(commands.length).toBeGreaterThan(3)
  expect(commands.join('\n')).toMatch(ORIGIN)

  const settings = Object.fromEntries(
    [...section.matchAll(/\b(DJANGO_SUPERUSER_[A-Z]+)=(\S+)/g)].map(([, name, value]) => [
      name ?? '',
      value ?? '',
    ]),
  )
  await using server = await startServer({ env: { ...settings, MIN_FREE_DISK_BYTES: '0' } })
  await using folder = await temporaryFolder()
  const script = ['set -eu', ...commands].join('\n').replaceAll(ORIGIN, server.url)
  const printed = await run(script, folder.path)
  expect(printed).toContain('"id":1')
  expect(printed).toContain(`${server.url}/media/videos/1/`)
  expect(printed).toMatch(/duration=(9|10)\./)
})

function sectionOf(markdown: string, heading: string): string {
  const [, rest = ''] = markdown.split(`## ${heading}\n`)
  expect(rest).not.toBe('')
  return rest.split(/^## /m)[0] ?? ''
}

function blocksOf(markdown: string, language: string): string[] {
  const fences = markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)
  return [...fences].filter(([, name]) => name === language).map(([, , text = '']) => text)
}

function run(script: string, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', script], { cwd, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${error.message}\n${stdout}\n${stderr}`))
    })
  })
}
