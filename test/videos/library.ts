import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { expect } from 'vitest'
import { badFilm, film, type BadFilm, type GoodFilm } from '../films.ts'
import type { TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { filesIn, storedKeys } from '../harness/stored.ts'

export { filesIn } from '../harness/stored.ts'

/** What journeys with films arrange and look at, in a line each. */

export const SHORT: GoodFilm = 'half a second'

let titles = 0
export const aTitle = (): string => `Film ${(titles += 1)} of ${process.pid}`

/** A form as a browser sends it: fields, then the file. */
export async function aForm(
  fields: Record<string, string>,
  path?: string,
  fileName?: string,
): Promise<FormData> {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  if (path !== undefined) {
    form.append('video_file', await openAsBlob(path), fileName ?? basename(path))
  }
  return form
}

export async function postForm(superuser: Client, form: FormData): Promise<Response> {
  return await superuser.request('/admin/api/videos/', { method: 'POST', body: form })
}

export async function upload(
  superuser: Client,
  given: { path?: string; film?: GoodFilm; bad?: BadFilm } & Record<string, string> = {},
): Promise<AdminVideo> {
  const { path, film: good = SHORT, bad, ...fields } = given
  const source = path ?? (bad === undefined ? await film(good) : await badFilm(bad))
  const reply = await postForm(superuser, await aForm({ title: aTitle(), ...fields }, source))
  if (reply.status !== 201) throw new Error(`${reply.status} ${await reply.text()}`)
  return (await reply.json()) as AdminVideo
}

export async function replaceSource(
  superuser: Client,
  id: number,
  path: string,
): Promise<AdminVideo> {
  const body = await aForm({}, path)
  const reply = await superuser.request(`/admin/api/videos/${id}/source/`, { method: 'PUT', body })
  if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`)
  return (await reply.json()) as AdminVideo
}

export async function adminVideo(superuser: Client, id: number): Promise<AdminVideo> {
  const reply = await superuser.get(`/admin/api/videos/${id}/`)
  expect(reply.status).toBe(200)
  return (await reply.json()) as AdminVideo
}

/** Uploads a film and waits for its processing; it must succeed. */
export async function aReadyVideo(
  app: TestApp,
  superuser: Client,
  given: Parameters<typeof upload>[1] = {},
): Promise<AdminVideo> {
  const { id } = await upload(superuser, given)
  await allDone(app)
  const video = await adminVideo(superuser, id)
  expect(video.source?.error ?? null).toBeNull()
  expect(video.processing_state).toBe('ready')
  return video
}

/** Waits until no task is due or runs; those that wait for their next attempt are left alone. */
export async function allDone({ app, clock }: TestApp): Promise<void> {
  const isDone = async (): Promise<boolean> => {
    const task = await app.db
      .selectFrom('tasks')
      .select('id')
      .where('finished_at', 'is', null)
      // What is written while we ask is due as well, though later than our time.
      .where('due_at', '<=', new Date(clock.now().getTime() + 1000))
      .executeTakeFirst()
    return task === undefined
  }
  await until(isDone, 'every task is done')
}

/** Asks again and again until the answer is truthy; time is the last resort, so it is generous. */
export async function until<T>(
  ask: () => Promise<T> | T,
  what: string,
  timeoutMs = 60_000,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer as Exclude<T, false | null | undefined>
    if (Date.now() > deadline) throw new Error(`${timeoutMs} ms have passed without: ${what}`)
    await sleep(20)
  }
}

/** All that an upload can leave behind. */
export async function traces(site: TestApp): Promise<Record<string, unknown>> {
  const { app, settings } = site
  const count = async (table: 'videos' | 'sources' | 'tasks'): Promise<unknown> => {
    const query = app.db.selectFrom(table).select((eb) => eb.fn.countAll().as('rows'))
    return (await query.executeTakeFirstOrThrow()).rows
  }
  return {
    staging: await filesIn(settings.uploads.dir),
    originals: await storedKeys(site, 'originals'),
    media: await storedKeys(site, 'media'),
    videos: await count('videos'),
    sources: await count('sources'),
  }
}
