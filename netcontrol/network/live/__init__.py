"""The network of a sandbox while somebody looks: from what agents say of it to what each page is told, and the questions that pages ask."""
