import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import type { Favorites } from './favorites.ts'
import { send, type Sent, type Way } from './sender.ts'
import type { FACTS } from './site-auditor.ts'
import type { Visitor } from './visitor.ts'

export type FilmOfSites = keyof typeof FACTS

/** Films that are sent but not processed yet, at most: more would only wait. */
const MOST_OPEN = 3
/** Far more than leases, sweeps and attempts add up to. */
const LONGEST_WORK_MS = 5 * 60_000

export interface Crowd {
  /** What was acknowledged so far, by whomever. */
  sent: Sent[]
  /** Sends one film more. */
  send(film: FilmOfSites, way?: Way): Promise<Sent>
  /** Sends films and toggles favourites all the time, until it is stopped; then all has been acknowledged. */
  begin(): AsyncDisposable & { stop(): Promise<void> }
  /** Waits until all that was sent is ready or says why not. */
  settled(): Promise<AdminVideo[]>
  /** Deletes a video for good, as somebody who is asked to; it is no longer among `sent`. */
  remove(film: Sent): Promise<void>
}

export function createCrowd(needs: {
  visitor: Visitor
  favorites: Favorites
  random: () => number
  ways: Way[]
}): Crowd {
  const { visitor, favorites, random, ways } = needs
  const sent: Sent[] = []
  let titles = 0
  const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!

  async function sendOne(film: FilmOfSites, way = oneOf(ways)): Promise<Sent> {
    titles += 1
    const acknowledged = await send(visitor, { title: `Film ${titles}, ${way}`, film, way })
    sent.push(acknowledged)
    return acknowledged
  }

  async function openOnes(): Promise<AdminVideo[]> {
    return (await visitor.videos()).filter((video) => !isSettled(video))
  }

  return {
    sent,
    send: sendOne,

    begin() {
      let isOver = false
      const uploading = async (): Promise<void> => {
        while (!isOver) {
          // Most of them short, so that all of it happens often.
          const film = oneOf([
            'h264 mp4',
            'mpeg4 mp4',
            'h264 mp4',
            'keyframes every 2.4 s',
          ] as const)
          if ((await openOnes()).length < MOST_OPEN) await sendOne(film)
          else await pause(100)
        }
      }
      const toggling = async (): Promise<void> => {
        while (!isOver) {
          const film = oneOf(sent)
          if (film) await favorites.toggle(film.videoId)
          await pause(50)
        }
      }
      const all = Promise.all([uploading(), uploading(), toggling()])
      all.catch(() => (isOver = true))
      const stop = async (): Promise<void> => {
        isOver = true
        await all
      }
      return { stop, [Symbol.asyncDispose]: stop }
    },

    async settled() {
      const deadline = Date.now() + LONGEST_WORK_MS
      for (;;) {
        const videos = await visitor.videos()
        const open = videos.filter((video) => !isSettled(video))
        if (open.length === 0) return videos
        if (Date.now() > deadline) throw new Error(`stuck: ${JSON.stringify(open, null, 2)}`)
        await pause(200)
      }
    },

    async remove(film) {
      const reply = await visitor.ask(`/admin/api/videos/${film.videoId}/`, { method: 'DELETE' })
      // 404: an earlier request that was not answered did it.
      if (reply.status !== 204 && reply.status !== 404) {
        visitor.complaints.push(`${film.title} cannot be deleted: ${reply.status}`)
      }
      favorites.forget(film.videoId)
      sent.splice(sent.indexOf(film), 1)
    },
  }
}

export function isSettled({ processing_state: state }: AdminVideo): boolean {
  return state === 'ready' || state === 'error'
}
