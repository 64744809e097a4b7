#!/usr/bin/env node
// Runs every check and every test: `npm test`, or a part of it with
// `npm test -- checks | unit | journeys | <part of a test's path>`.
// Its last line counts what passed; a check (types, lint, …) counts as one test.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bin, CHECKS, root, runCheck, runLoudly } from './test/checks.mjs'

const REPORT = join(root, '.cache', 'vitest.json')
const MISSING_SERVICES = join(root, '.cache', 'missing-services.json')
const PROJECTS = ['unit', 'journeys']

const total = { passed: 0, failed: 0, skipped: 0 }
const wanted = process.argv.slice(2)

if (wanted.length === 0 || wanted.includes('checks')) await runChecks()
const tests = wanted.filter((word) => word !== 'checks')
if (wanted.length === 0 || tests.length > 0) await runTests(tests)

if (total.passed + total.failed === 0) console.log('Nothing ran.')
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

async function runChecks() {
  const waiting = [...CHECKS]
  // Each uses more than one core for a part of its time.
  await Promise.all([work(), work()])

  async function work() {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const { code, output, seconds } = await runCheck(check)
      console.log(`${code === 0 ? '✓' : '✗'} ${check.name} (${seconds} s)`)
      if (code !== 0) console.log(output.trimEnd() || `It ended with exit code ${code}.`)
      total[code === 0 ? 'passed' : 'failed']++
    }
  }
}

async function runTests(words) {
  const projects = words.filter((word) => PROJECTS.includes(word))
  const filters = words.filter((word) => !PROJECTS.includes(word))
  mkdirSync(join(root, '.cache'), { recursive: true })
  rmSync(REPORT, { force: true })
  const code = await runLoudly(bin('vitest'), [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${REPORT}`,
    ...projects.map((name) => `--project=${name}`),
    ...filters,
  ])
  countTests(code)
  countMissingServices()
}

function countTests(code) {
  const report = existsSync(REPORT) ? JSON.parse(readFileSync(REPORT, 'utf8')) : undefined
  const failedBefore = total.failed
  if (report) {
    total.passed += report.numPassedTests
    total.failed += report.numFailedTests
    total.skipped += report.numPendingTests + report.numTodoTests
    // A file that cannot even be loaded has failed, though none of its tests has.
    total.failed += report.testResults.filter(isBrokenFile).length
  }
  // An error outside of any test, or vitest's own.
  if (code !== 0 && total.failed === failedBefore) total.failed++
}

function isBrokenFile({ status, assertionResults }) {
  return status === 'failed' && !assertionResults.some((test) => test.status === 'failed')
}

function countMissingServices() {
  if (!existsSync(MISSING_SERVICES)) return
  for (const name of JSON.parse(readFileSync(MISSING_SERVICES, 'utf8'))) {
    console.log(`Skipped for want of ${name}`)
    total.skipped++
  }
}
