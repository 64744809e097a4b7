import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import type { Crowd } from './crowd.ts'
import type { Sent } from './sender.ts'
import type { Member, Site } from './site.ts'
import { reached, STAGES, type Stage } from './stages.ts'
import { listStored, listUnfinished } from './stored.ts'
import type { Visitor } from './visitor.ts'

interface Needs {
  site: Site
  visitor: Visitor
  crowd: Crowd
}

/** A short film may rush through a stage unseen: so many are sent, every second one longer, before that is a failure. */
const MOST_FILMS = 10
/** In which what a frozen process had asked of PostgreSQL has been done. */
const ON_ITS_WAY_MS = 200

/** Does something while a film is being sent, and gives the film once it has been. */
export async function whileUploading(needs: Needs, act: () => Promise<void>): Promise<Sent> {
  for (let film = 1; film <= MOST_FILMS; film += 1) {
    const before = await listNames(needs.site)
    let isSent = false
    const sending = needs.crowd.send('h264 mp4', 'tus').finally(() => (isSent = true))
    const hasBegun = async (): Promise<boolean> =>
      (await listNames(needs.site)).some((name) => !before.includes(name))
    while (!isSent && !(await hasBegun())) await pause(5)
    if (!isSent) await act()
    const wasInTime = !isSent
    const sent = await sending
    if (wasInTime) return sent
  }
  throw new Error(`none of ${MOST_FILMS} films was seen while it was uploaded`)
}

async function listNames(site: Site): Promise<string[]> {
  return [...(await listStored(site)).map(({ name }) => name), ...(await listUnfinished(site))]
}

/** Does something while a film is there, and gives the film. */
export async function whileAt(
  needs: Needs,
  stage: Stage,
  act: (film: Sent) => Promise<void>,
): Promise<Sent> {
  if (stage === 'waiting') return await whileWaiting(needs, act)
  const { visitor, crowd } = needs
  for (let tried = 0; tried < MOST_FILMS; tried += 1) {
    const film = await crowd.send(tried % 2 === 0 ? 'h264 mp4' : 'keyframes every 2.4 s')
    if (!(await reached(visitor, film.videoId, stage))) continue
    await act(film)
    return film
  }
  throw new Error(`none of ${MOST_FILMS} films was seen while it was ${stage}`)
}

/** Workers that have nothing to do take a film at once: so nobody works meanwhile. */
async function whileWaiting(
  { site, visitor, crowd }: Needs,
  act: (film: Sent) => Promise<void>,
): Promise<Sent> {
  for (const worker of site.workers) worker.freeze()
  try {
    const film = await crowd.send('h264 mp4')
    await expectToBe('waiting', visitor, film)
    await act(film)
    return film
  } finally {
    for (const worker of site.workers) worker.thaw()
  }
}

async function expectToBe(stage: Stage, visitor: Visitor, { videoId, title }: Sent): Promise<void> {
  const video = await visitor.json<AdminVideo>(`/admin/api/videos/${videoId}/`)
  if (!STAGES[stage](video)) throw new Error(`${title} is not ${stage}: ${video.processing_state}`)
}

/** Freezes the only worker with a film in its hands; gives the film as it is then. */
export async function frozenAt(needs: Needs, worker: Member, stage: Stage): Promise<AdminVideo> {
  for (let tried = 0; tried < MOST_FILMS; tried += 1) {
    const { videoId } = await whileAt(needs, stage, async () => worker.freeze())
    await pause(ON_ITS_WAY_MS)
    const video = await needs.visitor.json<AdminVideo>(`/admin/api/videos/${videoId}/`)
    if (STAGES[stage](video)) return video
    worker.thaw()
  }
  throw new Error(`${worker.name} was too fast for being frozen while ${stage}`)
}
