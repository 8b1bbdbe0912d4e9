import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import type { Reply, TestGateway } from './harness.ts'

/** Settings with which each call sends exactly one request to HighLevel: no schema is read, no value is translated. */
export const PASS_THROUGH = { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' }

/** A record id that is unique for each number. */
export const recordId = (n: number): string => n.toString(16).padStart(24, '0')

/** Stores `count` records of a location in the simulator. Returns the paths at which they are patched. */
export function putRecords(simulator: Simulator, count: number, locationId: string = SEED.locationId): string[] {
  // Record ids must be unique across locations, so each location starts at a different number.
  const first = [...locationId].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 0xffffff, 7) * 1_000_000
  return Array.from({ length: count }, (_, n) => {
    simulator.putRecord(SEED.schemaKey, { id: recordId(first + n), locationId })
    return `/records/${SEED.schemaKey}/${recordId(first + n)}?locationId=${locationId}`
  })
}

/** A patch of one field of the seed object. */
export const CHANGE = { properties: { customer_number: 5 } }

/** Counts replies by outcome: the status and, for an error, the code of the problem. */
export function countOutcomes(replies: readonly Reply[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, json } of replies) {
    const outcome = status === 200 ? '200' : `${status} ${String(json['code'])}`
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}

/** Sends a PATCH to every path, all at the same time. */
export const patchAll = (
  { patch }: Pick<TestGateway, 'patch'>,
  paths: readonly string[],
  options: Parameters<TestGateway['patch']>[1] = {}
): Promise<Reply[]> => Promise.all(paths.map((path) => patch(CHANGE, options, path)))

/** Connects a location through the OAuth flow. */
export async function connectLocation(gateway: Pick<TestGateway, 'install'>, simulator: Simulator, locationId: string) {
  const reply = await gateway.install(simulator.connect(locationId).code)
  if (reply.status !== 200) throw new Error(reply.text)
}

/** Spends quota of the seed location, as another client of HighLevel would. */
export async function callAsOtherClient(simulator: Simulator, calls: number): Promise<void> {
  const headers = { authorization: `Bearer ${simulator.privateToken()}`, version: '2021-07-28' }
  const url = `${simulator.origin}/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`
  await Promise.all(Array.from({ length: calls }, async () => (await fetch(url, { headers })).arrayBuffer()))
}
