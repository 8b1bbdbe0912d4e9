import type { CallContext } from '../highlevel/call.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import type { RecordRef } from '../highlevel/record-ref.ts'
import { markUnknown } from '../highlevel/write-outcome.ts'
import { Problem } from '../problems/problem.ts'
import { findUnstored, type SentWrite, type UnstoredValue } from './verify-stored.ts'

const isSame = (a: UnstoredValue, b: UnstoredValue) => a.key === b.key && a.isMember === b.isMember

/**
 * Reads the record again after an answer that contradicts the write, because such an answer may be older than the
 * write. A value counts as lost if the record shows it neither time. A value that showed once was stored, and another
 * writer has changed it since. A value that another writer changed earlier cannot be told from one that was never
 * stored, and counts as lost too. If the record cannot be read, the first answer stands.
 */
export async function reread(
  upstream: HighLevelClient,
  ref: RecordRef,
  context: CallContext,
  sent: SentWrite,
  answer: RecordAnswer,
  unstored: readonly UnstoredValue[]
): Promise<{ answer: RecordAnswer; lost: readonly UnstoredValue[] }> {
  markUnknown(context)
  try {
    const again = await upstream.getRecord(ref, context)
    const lost = findUnstored(sent, again.record).filter((value) => unstored.some((other) => isSame(other, value)))
    return { answer: again, lost }
  } catch (error) {
    if (error instanceof Problem) return { answer, lost: unstored }
    throw error
  }
}
