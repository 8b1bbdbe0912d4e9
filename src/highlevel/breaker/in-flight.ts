import type { Clock } from '../../shared/clock.ts'

/** With this many calls in flight and no answer for this long, HighLevel is taken to be down. */
export const SILENCE_MS = 1_500
const MANY = 10

/**
 * Counts the calls on the wire by location, and knows since when none of a location's was answered. Times are on the
 * monotonic clock.
 *
 * It holds numbers, not calls: when a long-lived table grows, V8 promotes whatever it has held, whole requests
 * included. That cost each call a tenth of its time.
 */
export function createInFlight(clock: Pick<Clock, 'monotonic'>) {
  const locations = new Map<string, { calls: number; aliveAt: number; manySince: number }>()
  let calls = 0
  let lastAnswerAt = 0
  /** Since when there are many calls. A single old call among new ones does not show that HighLevel is silent. */
  let manySince = 0
  const isSilent = (since: number, at: number) => at - since >= SILENCE_MS

  return {
    isMany: () => calls >= MANY,

    begin(locationId: string): void {
      const own = locations.get(locationId)
      if (own !== undefined) {
        own.calls += 1
        if (own.calls === MANY) own.manySince = clock.monotonic()
      } else {
        const at = clock.monotonic()
        locations.set(locationId, { calls: 1, aliveAt: at, manySince: at })
        if (calls === 0) lastAnswerAt = at
      }
      calls += 1
      if (calls === MANY) manySince = clock.monotonic()
    },

    end(locationId: string, isAnswer: boolean, at: number): void {
      calls -= 1
      if (isAnswer) lastAnswerAt = at
      const own = locations.get(locationId)
      if (own === undefined) return
      own.calls -= 1
      if (isAnswer) own.aliveAt = at
      if (own.calls === 0) locations.delete(locationId)
    },

    /** Who gets no answers: all locations, or this one alone. */
    silence(locationId: string, at: number): 'upstream' | 'location' | undefined {
      if (calls < MANY) return undefined
      if (isSilent(Math.max(lastAnswerAt, manySince), at)) {
        let silent = 0
        for (const { aliveAt } of locations.values()) if (isSilent(aliveAt, at)) silent += 1
        if (silent > 1) return 'upstream'
      }
      const own = locations.get(locationId)
      if (own === undefined || own.calls < MANY) return undefined
      return isSilent(Math.max(own.aliveAt, own.manySince), at) ? 'location' : undefined
    }
  }
}
