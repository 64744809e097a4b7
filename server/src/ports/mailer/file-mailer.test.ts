import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { simpleParser } from 'mailparser'
import { afterAll, expect, test } from 'vitest'
import { temporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { fileMailer, withMailbox } from './file-mailer.ts'
import { testMailer } from './mailer.contract.ts'
import type { Mail } from './mailer.ts'

testMailer('files in a folder', async (from) => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'mails')
  const seen: string[] = []
  return {
    mailer: fileMailer(path, from),
    async arrived() {
      // Two of one millisecond have no order by name.
      for (const name of (await readdir(path).catch((): string[] => [])).sort()) {
        if (!seen.includes(name)) seen.push(name)
      }
      return await Promise.all(
        seen.map(async (name) => await simpleParser(await readFile(join(path, name)))),
      )
    },
    stop: () => folder.remove(),
  }
})

const folder = await temporaryFolder()
afterAll(() => folder.remove())

const MAIL: Mail = { to: 'ada@example.com', subject: 'Hello', html: '<p>Hi</p>', text: 'Hi' }

test('only the owner may read a mail: there is a live link in it', async () => {
  const path = join(folder.path, 'mails')
  await fileMailer(path, 'films@example.com').send(MAIL)
  const [name = ''] = await readdir(path)
  expect((await stat(join(path, name))).mode & 0o777).toBe(0o600)
})

test('a folder that cannot be made is told when checking, and is worth another try when sending', async () => {
  const file = join(folder.path, 'file')
  await writeFile(file, '')
  const mailer = fileMailer(join(file, 'mails'), 'films@example.com')
  await expect(mailer.check()).rejects.toMatchObject({ code: 'misconfigured' })
  await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'unavailable' })
})

test('the mailbox shows the newest hundred first, and what was not sent it does not show', async () => {
  const path = join(folder.path, 'mailbox')
  const mailbox = withMailbox(fileMailer(join(folder.path, 'sent'), 'films@example.com'), path)
  for (let number = 1; number <= 103; number += 1) {
    await mailbox.send({ ...MAIL, subject: `${number}` })
  }
  const shown = await mailbox.list()
  expect(shown).toHaveLength(100)
  expect(shown[0]).toMatchObject({ ...MAIL, subject: expect.any(String) })
  expect(shown.map((mail) => mail.subject)).toContain('103')

  const refusing = withMailbox(
    { send: () => Promise.reject(new Error('no')), check: () => Promise.resolve() },
    join(folder.path, 'refused'),
  )
  await expect(refusing.send(MAIL)).rejects.toThrow('no')
  expect(await refusing.list()).toEqual([])
})
