import { setTimeout as pause } from 'node:timers/promises'
import type { Crowd } from './crowd.ts'
import type { Site } from './site.ts'
import { STAGES, type Stage } from './stages.ts'
import { createVictims, VICTIMS, type Revive, type Victim } from './victims.ts'
import type { Visitor } from './visitor.ts'

interface Needs {
  site: Site
  visitor: Visitor
  crowd: Crowd
  random: () => number
}

export type Hits = Record<Victim, number>

/** Longer than it takes until some film is encoded. */
const PATIENCE_MS = 60_000

/**
 * Kills and brings back, so many times, while films are sent and processed: at first everybody once, as far as there are
 * kills, then whom chance chooses. Gives who was hit how often.
 */
export async function killDuringWork(needs: Needs, rounds: number): Promise<Hits> {
  const { site, crowd, random } = needs
  const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
  const victims = createVictims(site, oneOf)
  const hits: Hits = { postgres: 0, redis: 0, server: 0, worker: 0, ffmpeg: 0 }

  /** Null where chance has chosen a program and none runs. */
  async function hit(name: Victim): Promise<Revive | null> {
    const revive = await victims[name]()
    if (revive !== null) hits[name] += 1
    return revive
  }

  /** In an order in which they can come back. */
  async function hitByChance(): Promise<(Revive | null)[]> {
    // Now and then two at once.
    const chosen = new Set([oneOf(VICTIMS), ...(random() < 0.3 ? [oneOf(VICTIMS)] : [])])
    const stage = random() < 0.6 ? oneOf(Object.keys(STAGES) as Stage[]) : null
    await aMoment(needs, stage)
    return await Promise.all(VICTIMS.filter((name) => chosen.has(name)).map(hit))
  }

  async function hitForSure(name: Victim): Promise<Revive> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pause(10)) {
      const revive = await hit(name)
      if (revive !== null) return revive
    }
    throw new Error(`there was no ${name} to kill`)
  }

  await using work = crowd.begin()
  for (let round = 0; round < rounds; round += 1) {
    const sure = VICTIMS[round]
    if (sure) await aMoment(needs, 'encoding')
    const revivals = sure ? [await hitForSure(sure)] : await hitByChance()
    await pause(random() * 1500)
    for (const revive of revivals) await revive?.()
  }
  await work.stop()
  return hits
}

/** When a film is at this stage of its life, if that can be waited for; or just so. */
async function aMoment({ visitor, random }: Needs, stage: Stage | null): Promise<void> {
  if (stage === null) return await pause(random() * 1500)
  const end = Date.now() + 3000
  while (Date.now() < end) {
    if ((await visitor.videos()).slice(-4).some(STAGES[stage])) break
    await pause(20)
  }
  await pause(random() * 200)
}
