import type { CallContext } from '../highlevel/call.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import type { RecordRef } from '../highlevel/record-ref.ts'
import { markUnknown } from '../highlevel/write-outcome.ts'
import { Problem } from '../problems/problem.ts'
import { type Asked, findUnstored, type UnstoredValue } from './verify-stored.ts'

const isSame = (a: UnstoredValue, b: UnstoredValue) => a.key === b.key && a.isMember === b.isMember

/**
 * Reads the record once more where the answer to its write contradicts what was asked: it may be older than the write.
 * Lost is what the record shows neither time. What it showed once was stored, and another writer has changed it since;
 * what another writer changed before that cannot be told from what was never stored, and counts as lost: the record is
 * not as it was asked for. Where it cannot be read, the answer stands.
 */
export async function reread(
  upstream: HighLevelClient,
  ref: RecordRef,
  context: CallContext,
  asked: Asked,
  answer: RecordAnswer,
  missed: readonly UnstoredValue[]
): Promise<{ answer: RecordAnswer; lost: readonly UnstoredValue[] }> {
  markUnknown(context)
  try {
    const again = await upstream.getRecord(ref, context)
    const lost = findUnstored(asked, again.record).filter((loss) => missed.some((one) => isSame(one, loss)))
    return { answer: again, lost }
  } catch (error) {
    if (error instanceof Problem) return { answer, lost: missed }
    throw error
  }
}
