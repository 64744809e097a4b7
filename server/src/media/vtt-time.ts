/** A WebVTT timestamp (W3C WebVTT §4.1): `00:01:02.345`, of milliseconds from 0 on. */
export function vttTime(ms: number): string {
  const whole = Math.max(0, Math.round(ms))
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const thousandths = String(whole % 1000).padStart(3, '0')
  return `${two(whole / 3_600_000)}:${two((whole / 60_000) % 60)}:${two((whole / 1000) % 60)}.${thousandths}`
}
