import { expect, test } from 'vitest'
import { needMediaTools, servedKinds, unlessAll } from './served-kinds.ts'
import { PAYLOADS } from './task.ts'

test('a name is a kind or a lane', () => {
  expect([...servedKinds(['media', 'send_mail'])]).toEqual(['encode_part', 'send_mail'])
  expect([...servedKinds(null)]).toEqual(Object.keys(PAYLOADS))
})

test.each([
  [['films'], /"films" is no kind of task.* media, files, quick, webhooks .*encode_part/],
  [[''], /"" is no kind of task/],
  [['constructor'], /is no kind of task/],
  [[], /names nothing/],
])('%j is refused with what there is', (names, sentence) => {
  expect(() => servedKinds(names)).toThrow(
    expect.objectContaining({ code: 'misconfigured', message: expect.stringMatching(sentence) }),
  )
})

test('only films need ffmpeg', () => {
  expect(needMediaTools(servedKinds(['quick', 'webhooks']))).toBe(false)
  for (const name of ['media', 'files', 'process_source']) {
    expect(needMediaTools(servedKinds([name, 'quick']))).toBe(true)
  }
})

test('what is taken is told, unless it is everything', () => {
  expect(unlessAll(servedKinds(['webhooks', 'send_mail']))).toEqual(['send_mail', 'send_webhook'])
  expect(unlessAll(servedKinds(null))).toBeUndefined()
  expect(unlessAll(servedKinds(['media', 'files', 'quick', 'webhooks']))).toBeUndefined()
})
