import { expect, test } from 'vitest'
import { sharedWork } from './shared-work.ts'

/** Work that goes on until it is told to give up, or to end. */
function endless() {
  const begun: { givenUp: AbortSignal; end: () => void }[] = []
  const work = (givenUp: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      begun.push({ givenUp, end: resolve })
      givenUp.addEventListener('abort', () => reject(new Error('given up')))
    })
  return { begun, work }
}

test('is done once for all who ask meanwhile, and anew for who asks later', async () => {
  const { begun, work } = endless()
  const once = sharedWork()
  const all = [1, 2, 3].map(() => once('name', undefined, work))
  expect(begun).toHaveLength(1)
  begun[0]?.end()
  await Promise.all(all)
  const later = once('name', undefined, work)
  begun[1]?.end()
  await later
  expect(begun).toHaveLength(2)
})

test('who has to go waits no longer, and the others get it', async () => {
  const { begun, work } = endless()
  const once = sharedWork()
  const first = new AbortController()
  const one = once('name', first.signal, work)
  const other = once('name', new AbortController().signal, work)
  first.abort(new Error('has to go'))
  await expect(one).rejects.toThrow('has to go')
  expect(begun[0]?.givenUp.aborted).toBe(false)
  begun[0]?.end()
  await other
  expect(begun).toHaveLength(1)
})

test('is given up when nobody is left, also where all go at once', async () => {
  const { begun, work } = endless()
  const once = sharedWork()
  const all = new AbortController()
  const waiting = [1, 2].map(() => once('name', all.signal, work))
  all.abort('draining')
  expect(await Promise.allSettled(waiting)).toEqual([
    { status: 'rejected', reason: 'draining' },
    { status: 'rejected', reason: 'draining' },
  ])
  expect(begun[0]?.givenUp.reason).toBe('draining')
  const later = once('name', undefined, work)
  expect(begun).toHaveLength(2)
  begun[1]?.end()
  await later
})

test('who is told to stop already begins nothing', async () => {
  const { begun, work } = endless()
  await expect(sharedWork()('name', AbortSignal.abort('stop'), work)).rejects.toBe('stop')
  expect(begun).toEqual([])
})

test('a failure is everybody’s', async () => {
  const once = sharedWork()
  const fail = (): Promise<void> => Promise.reject(new Error('broken'))
  const all = [once('name', undefined, fail), once('name', undefined, fail)]
  for (const each of all) await expect(each).rejects.toThrow('broken')
})
