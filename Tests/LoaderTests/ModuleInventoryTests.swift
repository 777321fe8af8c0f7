import DoraLoader
import DoraTensor
import Testing

@Suite struct ModuleInventoryTests {
    @Test func namesAndShapesAreTheLibrarys() throws {
        let inventory = ModuleInventory(
            try Configurations.model(("head_dim", "16"), ("attention_bias", "true")))
        #expect(inventory.modules.count == 1 + 2 * 9 + 2)
        #expect(inventory["model.embed_tokens"]?.weightShape == [10, 32])
        #expect(inventory["model.layers.1.self_attn.q_proj"]?.weightShape == [64, 32])
        #expect(inventory["model.layers.1.self_attn.v_proj"]?.weightShape == [32, 32])
        #expect(inventory["model.layers.1.self_attn.o_proj"]?.weightShape == [32, 64])
        #expect(inventory["model.layers.0.mlp.gate_proj"]?.weightShape == [24, 32])
        #expect(inventory["model.layers.0.mlp.down_proj"]?.weightShape == [32, 24])
        #expect(inventory["model.layers.0.post_attention_layernorm"]?.weightShape == [32])
        #expect(inventory["model.norm"]?.kind == .norm)
        #expect(inventory["lm_head"]?.weightShape == [10, 32] && inventory["lm_head"]?.hasBias == false)
        #expect(inventory["model.layers.2.self_attn.q_proj"] == nil)
    }

    @Test func biasesFollowTheConfiguration() throws {
        let inventory = ModuleInventory(try Configurations.model(("attention_bias", "true")))
        #expect(
            inventory["model.layers.0.self_attn.o_proj"]?.biasName == "model.layers.0.self_attn.o_proj.bias")
        #expect(inventory["model.layers.0.mlp.up_proj"]?.biasName == nil)
        #expect(
            ModuleInventory(try Configurations.model(("mlp_bias", "true")))["model.layers.0.mlp.up_proj"]?
                .hasBias == true)
    }

    @Test func aTiedHeadIsAModuleOfItsOwn() throws {
        let inventory = ModuleInventory(try Configurations.model(("tie_word_embeddings", "true")))
        #expect(inventory.tiesWordEmbeddings && inventory["lm_head"] != nil && inventory.layerCount == 2)
    }

    @Test(
        .enabled(if: Fixtures.areThere, "Tests/Fixtures is not there"),
        arguments: Set(Fixtures.pairs.map(\.base)).filter { !$0.hasSuffix(".gguf") }.sorted())
    func everyUnquantizedTensorOfAFixtureHasTheShapeOfItsModule(base: String) throws {
        let folder = Fixtures.folder + "/bases/" + base
        let checkpoint = try Checkpoint(folder: folder)
        let configuration = try ModelConfiguration(folder: folder)
        let inventory = ModuleInventory(configuration)
        for module in inventory.modules {
            let isTiedHead = module.name == ModuleInventory.head && configuration.tiesWordEmbeddings
            let tensor = checkpoint[module.weightName]
            let isCoded = ["qweight", "weight_packed"].contains { checkpoint["\(module.name).\($0)"] != nil }
            #expect((tensor != nil || isCoded) != isTiedHead, "\(module.weightName)")
            if let tensor, tensor.elementType.isFloat, tensor.shape.last != 1 {
                #expect(tensor.shape == module.weightShape, "\(module.weightName)")
            }
            if let bias = module.biasName { #expect(checkpoint[bias]?.shape == [module.outputs], "\(bias)") }
        }
        #expect(try GenerationDefaults(ModelFiles(folder), configuration: configuration).eosIDs == [2])
    }
}
