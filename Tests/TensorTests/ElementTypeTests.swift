import DoraTensor
import Testing

@Suite struct ElementTypeTests {
    @Test func byteCountsFollowTheNames() {
        #expect(ElementType(rawValue: "BF16")?.byteCount == 2)
        #expect(ElementType(rawValue: "F8_E4M3")?.byteCount == 1)
        #expect(ElementType(rawValue: "I64")?.byteCount == 8)
        #expect(ElementType(rawValue: "f32") == nil)
    }
}
