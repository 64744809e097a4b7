import { readdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { outputs } from '../cli/commands.ts'
import { BACKENDS } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startServer } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { startCluster, type Cluster } from '../processing/cluster.ts'
import { adminVideo, until, upload } from '../videos/library.ts'

const NO_FFMPEG = { FFMPEG_BIN: '/nonexistent/ffmpeg', FFPROBE_BIN: '/nonexistent/ffprobe' }

describe('what a worker is to take', () => {
  test.each<[string, string[], Record<string, string>]>([
    ['an option', ['--only', 'media,films'], {}],
    ['a setting', [], { WORKER_ONLY: 'media,films' }],
  ])('is refused with the right names where a name is wrong, as %s', async (_how, args, env) => {
    await using folder = await temporaryFolder()
    const outcome = await outputs(['worker', ...args], { DATA_DIR: folder.path, ...env })
    expect(outcome.code).toBe(1)
    expect(outcome.stderr.trim().split('\n')).toHaveLength(1)
    expect(outcome.stderr).toContain('"films" is no kind of task')
    expect(outcome.stderr).toMatch(/media, files, quick, webhooks .*encode_part.*send_mail/)
  })
})

describe.each(BACKENDS)('a worker for mails alone, on %s', (backend) => {
  test('sends them without ffmpeg and a key to the bucket, and leaves the rest to others', async () => {
    await using mails = await temporaryFolder()
    const mail = { EMAIL_BACKEND: 'filebased.EmailBackend', EMAIL_FILE_PATH: mails.path }
    const shared = { ...mail, SECRET_KEY: 'what all of these machines have in common' }
    await using cluster = await startCluster(backend, shared)
    const args = ['--only', 'send_mail,webhooks']
    const noKey = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }
    const mailer = cluster.startWorker({ args, env: { ...NO_FFMPEG, ...noKey } })
    const { id } = await upload(cluster.superuser, {})
    await register(cluster)
    await until(async () => (await readdir(mails.path)).length > 0, 'the mail is there')
    expect(mailer.output()).toContain('takes nothing but send_mail, send_webhook')
    expect(mailer.output()).not.toMatch(/encodes|ERROR/)

    // The premise: what it leaves was there to be taken.
    await untilOnly(cluster, 'process_source')
    expect((await adminVideo(cluster.superuser, id)).processing_state).toBe('pending')
    await sinceLong(cluster)
    const { stdout } = await outputs(['doctor'], cluster.env)
    expect(stdout).toMatch(/^warning +tasks +nobody takes a task of the kind process_source/m)
    const other = cluster.startWorker({ args, env: NO_FFMPEG })
    await until(
      () => other.output().includes('nobody takes a task of the kind process_source'),
      'its log tells as well',
    )

    const encoder = cluster.startWorker({ env: { WORKER_ONLY: 'media,files' } })
    await until(async () => {
      const { processing_state: state } = await adminVideo(cluster.superuser, id)
      return state === 'ready'
    }, 'a worker for films takes it')
    expect(encoder.output()).toMatch(/encodes 1 at once, on \d+ threads each: JOB_CONCURRENCY; /)
    const after = await outputs(['doctor'], cluster.env)
    expect(after.stdout).toMatch(/^ok +tasks +nothing has been waiting for long/m)
  })
})

test('a server with a worker for small things needs no ffmpeg either', async () => {
  await using server = await startServer({ env: { ...NO_FFMPEG, WORKER_ONLY: 'quick,webhooks' } })
  expect((await fetch(`${server.url}/health/`)).status).toBe(200)
  const doctor = await outputs(['doctor'], { ...NO_FFMPEG, WORKER_ONLY: 'quick' })
  expect(doctor.stdout).toMatch(/^ok +ffmpeg +not needed here, by WORKER_ONLY/m)
})

async function register({ superuser }: Cluster): Promise<void> {
  const password = 'a viewer’s own password'
  const person = { email: 'viewer@example.com', password, confirm_password: password }
  const reply = await new Client(superuser.origin).post('/users/register/', person)
  expect(reply.status).toBe(201)
}

async function untilOnly({ db }: Cluster, kind: string): Promise<void> {
  await until(async () => {
    const due = await db
      .selectFrom('tasks')
      .select('kind')
      .where('finished_at', 'is', null)
      .where('due_at', '<=', new Date())
      .execute()
    return due.length === 1 && due[0]?.kind === kind
  }, `${kind} alone is left`)
}

async function sinceLong({ db }: Cluster): Promise<void> {
  const due_at = new Date(Date.now() - 600_000)
  await db.updateTable('tasks').set({ due_at }).where('kind', '=', 'process_source').execute()
}
