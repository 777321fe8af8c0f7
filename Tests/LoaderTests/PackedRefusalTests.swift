import DoraTensor
import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// A packed file that is not what it was when it was written is refused, and says what to do.
@Suite struct PackedRefusalTests {
    private let scratch: TemporaryFolder
    private let path: String
    private let sound: [UInt8]
    private let compute: Compute
    private static let base = Fixtures.folder + "/bases/nf4-double"

    init() throws {
        scratch = try TemporaryFolder()
        path = scratch.file("model.dora")
        compute = try Compute(threads: 1)
        try ModelPacking(ModelFiles(Self.base), on: compute).write(to: path)
        sound = try Fixtures.bytes(path)
    }

    private var headerCount: Int {
        8 + sound.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    }

    private func open(_ bytes: [UInt8]) throws {
        let file = try PackedFile(bytes: bytes, path: "m.dora")
        let files = ModelFiles.packed(file)
        let base = try BaseModel(files, on: compute)
        _ = try GenerationDefaults(files, configuration: base.configuration)
    }

    @Test func theSoundFileIsAccepted() throws { try open(sound) }

    @Test func anotherVersion() throws {
        let text = Array(#""version":"1""#.utf8)
        let at = try #require(sound.firstRange(of: text)).upperBound - 2
        var bytes = sound
        bytes[at] = UInt8(ascii: "2")
        expectRefusal(.unsupported, naming: ["m.dora", "version", "expected 1, found 2", "pack"]) {
            try open(bytes)
        }
    }

    @Test func anyFlippedByteOfTheHeader() throws {
        for index in 0..<headerCount {
            var bytes = sound
            bytes[index] ^= 1 << UInt8(index % 8)
            #expect(throws: LoadError.self, "byte \(index)") { try PackedFile(bytes: bytes, path: "m.dora") }
        }
        var bytes = sound
        bytes[headerCount - 1] = UInt8(ascii: "\n")
        expectRefusal(.malformed, naming: ["header", "damaged", "pack the model again"]) { try open(bytes) }
    }

    @Test func aFileOfAnyOtherLength() throws {
        for count in [0, 7, 8, 60, 130, headerCount - 1, headerCount, sound.count / 2, sound.count - 1] {
            #expect(throws: LoadError.self, "\(count) bytes") { try open(Array(sound.prefix(count))) }
        }
        expectRefusal(.malformed, naming: ["cut short", "copy"]) { try open(Array(sound.dropLast())) }
        #expect(throws: LoadError.self) { try open(sound + [0]) }
    }

    @Test func filesOfOtherKinds() throws {
        let names = ["model.safetensors": "folder", "config.json": "packed file"]
        for (name, advice) in names {
            expectRefusal(.unsupported, naming: [name, "dora-pack", advice]) {
                _ = try ModelFiles(Self.base + "/" + name)
            }
        }
        expectRefusal(.missing, naming: ["nowhere", "config.json"]) {
            _ = try ModelConfiguration(ModelFiles("/nowhere"))
        }
    }

    @Test func aFlippedByteOfATensorIsFoundByVerifying() throws {
        let file = try PackedFile(path: path)
        try file.verify()
        for name in [
            "model.layers.0.mlp.up_proj.codes", "config.json", "model.norm.weight", "lm_head.scales",
        ] {
            let tensor = try #require(file.tensors[name])
            let offset = try #require(sound.firstRange(of: tensor.withBytes { [UInt8]($0) })).lowerBound
            var bytes = sound
            bytes[offset + tensor.byteCount / 2] ^= 8
            expectRefusal(.malformed, naming: [name, "checksum", "pack the model again"]) {
                try PackedFile(bytes: bytes, path: "m.dora").verify()
            }
        }
    }

    @Test func quantizingWhatIsPacked() throws {
        expectRefusal(.mismatch, naming: ["--quantize int8", "pack the folder"]) {
            _ = try BaseModel(ModelFiles(path), quantization: .int8, on: compute)
        }
    }

    /// With the checksum set right again, as a strange writer might: the other checks hold by themselves.
    @Test func nothingInAHeaderCrashes() throws {
        var generator = SystemRandomNumberGenerator()
        var accepted = 0
        for _ in 0..<3000 {
            var header = Array(sound.prefix(headerCount))
            let end = (header.lastIndex(of: UInt8(ascii: "}")) ?? 0) + 1
            for _ in 0...Int.random(in: 0..<2, using: &generator) {
                let index = Int.random(in: 130..<end, using: &generator)
                header[index] =
                    Bool.random(using: &generator)
                    ? UInt8.random(in: 32..<127, using: &generator)
                    : header[Int.random(in: 130..<end, using: &generator)]
            }
            PackedHeader.seal(&header)
            do {
                try open(header + sound[headerCount...])
                accepted += 1
            } catch is LoadError {
                continue
            }
        }
        // Those that hit a checksum of a tensor, which only verifying reads.
        #expect((1..<3000).contains(accepted))
    }

    @Test func nothingInTheDataCrashes() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var bytes = sound
            for _ in 0..<20 {
                bytes[Int.random(in: headerCount..<bytes.count, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            do {
                let base = try BaseModel(.packed(PackedFile(bytes: bytes, path: "m.dora")), on: compute)
                for module in base.inventory.modules where module.kind == .linear {
                    let source = try base.source(of: module.name)
                    var tile = [Float](repeating: 0, count: PackedMatrix.tileRows * source.columns)
                    source.decodeTile(0, into: &tile, on: compute)
                }
            } catch is LoadError {
                continue
            }
        }
    }
}

/// Packing never costs anybody a file.
@Suite struct PackedWriterTests {
    private struct Stop: Error {}

    private let scratch: TemporaryFolder
    private let packing: ModelPacking

    init() throws {
        scratch = try TemporaryFolder()
        packing = try ModelPacking(
            ModelFiles(Fixtures.folder + "/bases/int8"), on: try Compute(threads: 1))
    }

    private var names: [String] { (try? Folder(scratch.path).names()) ?? [] }

    @Test func anEndBeforeItsTimeLeavesNoFile() throws {
        #expect(throws: Stop.self) {
            try packing.write(to: scratch.file("m.dora")) { if $0.done == 5 { throw Stop() } }
        }
        #expect(names == [])
    }

    @Test func thenTheOldFileStays() throws {
        let path = scratch.file("m.dora")
        try packing.write(to: path)
        let old = try Fixtures.bytes(path)
        #expect(throws: Stop.self) { try packing.write(to: path) { if $0.done == 5 { throw Stop() } } }
        #expect(try Fixtures.bytes(path) == old)
        #expect(names == ["m.dora"])
    }

    /// Whatever the folder is called.
    @Test func theBaseKeepsItsName() throws {
        let name = "a \"b\" \\ é\u{1}"
        let folder = scratch.file(name)
        try FileManager.default.copyItem(atPath: Fixtures.folder + "/bases/int8", toPath: folder)
        for (path, expected) in [(folder, name), (folder + "/", name), (folder + "/.", name)] {
            let compute = try Compute(threads: 1)
            try ModelPacking(ModelFiles(path), on: compute).write(to: scratch.file("m.dora"))
            #expect(try ModelFiles(scratch.file("m.dora")).baseName == expected)
        }
    }

    @Test func otherFilesAreNotReplaced() throws {
        try scratch.write("model.safetensors", "precious")
        do {
            try packing.write(to: scratch.file("model.safetensors"))
            Issue.record("it was replaced")
        } catch let error as WriteError {
            #expect("\(error)".contains("no packed file"))
        }
        #expect(try Fixtures.bytes(scratch.file("model.safetensors")) == Array("precious".utf8))
        #expect(throws: WriteError.self) { try packing.write(to: scratch.path) }
        #expect(throws: WriteError.self) { try packing.write(to: "/nowhere/m.dora") }
        #expect(names == ["model.safetensors"])
    }

    /// Every tensor lies where its elements are aligned, big ones at the cache's lines, data at a page.
    @Test func tensorsAreAligned() throws {
        let path = scratch.file("m.dora")
        for name in ["source-odd", "int8", "biases"] {
            try ModelPacking(
                ModelFiles(Fixtures.folder + "/bases/\(name)"), on: try Compute(threads: 1)
            ).write(to: path)
            let file = try PackedFile(path: path)
            for name in file.tensors.names {
                let tensor = try #require(file.tensors[name])
                let address = Int(bitPattern: tensor.bytes.baseAddress)
                #expect(address.isMultiple(of: tensor.elementType.byteCount), "\(name)")
                if tensor.byteCount.isMultiple(of: 64) { #expect(address.isMultiple(of: 64), "\(name)") }
            }
        }
    }
}
