import { expect, test } from 'vitest'
import { isDead, newOwner } from './owner.ts'

const ALIVE = 42
const isRunning = (pid: number): boolean => pid === ALIVE
const self = newOwner(1)
const elsewhere = (owner: string): string => owner.replace(/^[^ ]+/, 'other-host/pid:[1]')
const sameName = (owner: string): string => owner.replace(/[^/ ]+ /, 'another-boot ')

test.each([
  ['a process of this host that is gone', newOwner(41), true],
  ['a process of this host that runs', newOwner(ALIVE), false],
  ['ourselves', self, false],
  ['ourselves in an earlier life: the first process of a restarted container', newOwner(1), true],
  ['a process of another host', elsewhere(newOwner(41)), false],
  ['a process of a machine that only has our name', sameName(newOwner(41)), false],
  ['a process of another host with our number', elsewhere(newOwner(1)), false],
])('%s', (_who, owner, expected) => {
  expect(isDead(owner, self, isRunning)).toBe(expected)
})

test('every run has another name', () => {
  expect(newOwner(1)).not.toBe(newOwner(1))
})
