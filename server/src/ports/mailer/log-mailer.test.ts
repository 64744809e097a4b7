import { pino } from 'pino'
import { expect, test } from 'vitest'
import { logMailer } from './log-mailer.ts'
import type { Mail } from './mailer.ts'

const MAIL: Mail = {
  to: 'ada@example.com',
  subject: 'Confirm',
  html: '<a href="https://example.com/activate/SECRET">',
  text: 'https://example.com/activate/SECRET',
}

async function logged(mail: Mail, options: { showText: boolean }): Promise<string[]> {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const mailer = logMailer(log, options)
  await mailer.send(mail)
  await mailer.check()
  return lines
}

test('shows a developer the whole text', async () => {
  expect(await logged(MAIL, { showText: true })).toEqual([expect.stringContaining('SECRET')])
})

test('elsewhere says that there was a mail, and gives no link away', async () => {
  const lines = await logged(MAIL, { showText: false })
  expect(lines).toEqual([expect.stringContaining('ada@example.com')])
  expect(lines[0]).toContain('EMAIL_HOST')
  expect(lines.join('')).not.toContain('SECRET')
})

test('a recipient with line breaks makes no line of its own', async () => {
  const to = 'ada@example.com\n{"level":30,"msg":"forged"}'
  for (const showText of [true, false]) {
    const lines = await logged({ ...MAIL, to }, { showText })
    expect(lines.join('').trimEnd().split('\n')).toHaveLength(1)
  }
})
