import DoraServeCommand

await ServeProgram.main()
