import SamplingFrequency
import Synchronization
import VectorIndex

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Changes, by the writer thread alone.
///
/// A row is *reserved* while a write is judged: its id enters the table at once, but the row is empty, and an empty row
/// reads as a missing id. Everything else is applied after the commit, from the bytes that the journal holds.
extension Collection {
    static let rowCountMax = UInt32.max - 1

    /// The row of an id, with the effects of rows reserved by writes that are not yet durable.
    func rowByWriter(of id: UnsafeRawBufferPointer, _ hash: IdentifierTable.Hash) -> UInt32? {
        identifiers.firstMatchByWriter(hash) { row in
            let slot = chunk(of: row).pointee.identifiers + Self.index(of: row)
            return IdentifierSlot.equals(slot, id) ? row : nil
        }
    }

    /// Gives an id that has none a row. There must be one left.
    func reserveRow(for id: UnsafeRawBufferPointer, _ hash: IdentifierTable.Hash) -> UInt32 {
        let row: UInt32
        if let free = writer.freeRows.popLast() {
            row = free
        } else {
            precondition(writer.rowCount < Self.rowCountMax, "no row is left")
            row = writer.rowCount
            writer.rowCount += 1
            chunks.grow(toHold: row)
        }
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        chunk.pointee.lock.withWriteLock {
            IdentifierSlot.set(chunk.pointee.identifiers + index, id)
            chunk.pointee.flags[index] = .isUsed
        }
        chunk.pointee.lives[index].freeStamp = FreeStamp.none
        identifiers.insert(row, hash)
        return row
    }

    /// Takes a reservation back whose write did not become durable.
    func cancelReservation(of row: UInt32) {
        removeFromTable(row)
        writer.freeRows.append(row)
    }

    /// Takes a deletion back that did not become durable.
    func cancelFree(of row: UInt32) {
        chunk(of: row).pointee.lives[Self.index(of: row)].freeStamp = FreeStamp.none
    }

    /// Removes the id of a row and everything it has.
    private func removeFromTable(_ row: UInt32) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let hash = IdentifierTable.Hash(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
        identifiers.remove(row, hash) {
            chunk.pointee.lock.withWriteLock {
                chunk.pointee.clearIdentity(index)
                chunk.pointee.setFeatures(index, nil)
                chunk.pointee.statistics[index] = .unseen
                // Not before the row is empty: a search that met the id in it has to see the count rise.
                freedRowCount.wrappingAdd(1, ordering: .releasing)
            }
        }
    }

    /// Applies an operation of a group that is durable. Readers see it from here on.
    func apply(_ operation: Operation) {
        switch operation {
        case .assign(let row, let id):
            markRow(row)
            updateSummary {
                $0.idCount += 1
                $0.longIdByteCount += IdentifierSlot.outlinedByteCount(id.count)
            }
        case .free(let row):
            applyFree(row)
        case .embedding(let row, let vector):
            applyEmbedding(row, vector)
        case .features(let row, let json):
            applyFeatures(row, json)
        case .observe(let hit, let position, let entries):
            applyObservation(hit, position, entries)
        case .frequencies(let hit, let entries):
            applyFrequencies(hit, entries)
        case .sequence(let number, let name):
            noteSequence(number, name)
        case .sketchObservation(let hit, let hashes):
            applySketchObservation(hit, hashes)
        case .sketchFrequencies(let hit, let entries):
            applySketchFrequencies(hit, entries)
        }
    }

    func noteSequence(_ number: Int64, _ name: UnsafeRawBufferPointer) {
        let sequence = WriterSequence(writer: String(decoding: name, as: UTF8.self), number: number)
        let chunk = writer.sequences.note(sequence)
        writer.dirty.writerChunks |= 1 << UInt32(chunk)
    }

    private func applyFree(_ row: UInt32) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let hadVector = chunk.pointee.flags[index].contains(.hasVector)
        let featureByteCount = chunk.pointee.features[index]?.bytes.count ?? 0
        let idByteCount = IdentifierSlot.length(chunk.pointee.identifiers + index)
        let statistics = chunk.pointee.statistics[index]
        drawLock.withWriteLock {
            if hadVector { draws.remove(row, count: totals.count(of: statistics)) }
            removeFromTable(row)
        }
        writer.countSum.subtract(statistics, decay)
        // Only a durable deletion counts: the generation that replay arrives at must be this one.
        chunk.pointee.lock.withWriteLock { chunk.pointee.lives[index].generation &+= 1 }
        writer.freeRows.append(row)
        markRow(row)
        markFeatures(row)
        markStatistics(row)
        updateSummary {
            $0.idCount -= 1
            $0.itemCount -= hadVector ? 1 : 0
            $0.featureByteCount -= featureByteCount
            $0.longIdByteCount -= IdentifierSlot.outlinedByteCount(idByteCount)
            $0.totals.count = writer.countSum.total(in: $0.totals.epoch)
            $0.drawByteCount = drawByteCount
        }
    }

    private func applyEmbedding(_ row: UInt32, _ vector: UnsafeRawBufferPointer) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let isNew = !chunk.pointee.flags[index].contains(.hasVector)
        let setVector = {
            chunk.pointee.lock.withWriteLock {
                chunk.pointee.setVector(index, vector)
                chunk.pointee.setCodes(index)
            }
        }
        markRow(row)
        guard isNew else { return setVector() }
        let count = totals.count(of: chunk.pointee.statistics[index])
        drawLock.withWriteLock {
            setVector()
            draws.insert(row, count: count)
            // Under the lock: who draws takes the number of items from here.
            updateSummary {
                $0.itemCount += 1
                $0.drawByteCount = drawByteCount
            }
        }
    }

    private func applyFeatures(_ row: UInt32, _ json: UnsafeRawBufferPointer) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let oldByteCount = chunk.pointee.features[index]?.bytes.count ?? 0
        chunk.pointee.lock.withWriteLock { chunk.pointee.setFeatures(index, json) }
        markFeatures(row)
        updateSummary { $0.featureByteCount += json.count - oldByteCount }
    }

    func markRow(_ row: UInt32) {
        chunk(of: row).pointee.dirty.pointee.rows.insert(Self.index(of: row))
    }

    func markFeatures(_ row: UInt32) {
        chunk(of: row).pointee.dirty.pointee.features.insert(Self.index(of: row))
    }

    @inline(__always)
    func markStatistics(_ row: UInt32) {
        // A sketch's runs have the keys that those of rows have elsewhere.
        guard sketch == nil else { return }
        chunk(of: row).pointee.dirty.pointee.markFrequency(row: Self.index(of: row))
    }

}

extension ItemChunk {
    func setVector(_ index: Int, _ vector: UnsafeRawBufferPointer) {
        let dimension = vector.count / MemoryLayout<Float>.size
        memcpy(vectors + index * dimension, vector.baseAddress!, vector.count)
        flags[index].insert(.hasVector)
    }

    func setFeatures(_ index: Int, _ json: UnsafeRawBufferPointer?) {
        features[index]?.deallocate()
        features[index] = json.map { FeatureText(copying: $0) }
    }

    /// Encodes the vector that the row has.
    func setCodes(_ index: Int) {
        codes.set(firstSlot + index, vectors + index * codes.dimension)
    }

    /// Takes the id and the embedding away.
    func clearIdentity(_ index: Int) {
        IdentifierSlot.clear(identifiers + index)
        if flags[index].contains(.hasVector) { codes.clear(firstSlot + index) }
        flags[index] = []
    }
}

extension IdentifierSlot {
    /// What an id of this length takes outside the slot.
    static func outlinedByteCount(_ length: Int) -> Int {
        length > 15 ? length : 0
    }
}
