def agreement(replicas, root): pass
