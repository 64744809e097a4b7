import { setTimeout as pause } from 'node:timers/promises'
import type { Crowd } from './crowd.ts'
import type { Site } from './site.ts'
import { STAGES, type Stage } from './stages.ts'
import { createVictims } from './victims.ts'
import type { Visitor } from './visitor.ts'

interface Needs {
  site: Site
  visitor: Visitor
  crowd: Crowd
  random: () => number
}

/** Kills and brings back, so many times, while films are sent and processed. Gives how often whom. */
export async function killDuringWork(
  needs: Needs,
  rounds: number,
): Promise<Record<string, number>> {
  const { site, crowd, random } = needs
  const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
  const victims = createVictims(site, oneOf)
  const names = Object.keys(victims) as (keyof typeof victims)[]
  const hits: Record<string, number> = {}
  await using work = crowd.begin()
  for (let round = 1; round <= rounds; round += 1) {
    // Now and then two at once.
    const chosen = new Set([oneOf(names), ...(random() < 0.3 ? [oneOf(names)] : [])])
    const stage = random() < 0.6 ? oneOf(Object.keys(STAGES) as Stage[]) : null
    await aMoment(needs, stage)
    const ended = names.filter((name) => chosen.has(name))
    const revivals = await Promise.all(ended.map((name) => victims[name]()))
    await pause(random() * 1500)
    for (const revive of revivals) await revive()
    for (const name of ended) hits[name] = (hits[name] ?? 0) + 1
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
