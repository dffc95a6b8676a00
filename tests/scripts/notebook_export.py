#!/usr/bin/env python
# coding: utf-8

# # Diabetes progression
# 
# A small regression on scikit-learn's diabetes data, exported by `jupyter nbconvert --to script`.

# In[1]:


get_ipython().run_line_magic('matplotlib', 'inline')
import torch
from torch import nn
from sklearn.datasets import load_diabetes


# In[2]:


data = load_diabetes(as_frame=False)
X = torch.tensor(data.data).float()
y = torch.tensor(data.target).float()
X = X / X.std(0)
y = (y - y.mean()) / y.std()
X.shape, y.shape


# ## Split
# 
# Shuffled once, with a fixed seed.

# In[3]:


perm = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
tr, va, te = perm[:260], perm[260:350], perm[350:]
len(tr), len(va), len(te)


# In[4]:


def make_model():
    return nn.Sequential(nn.Linear(10, 24), nn.Tanh(), nn.Linear(24, 1), nn.Flatten(0))

make_model()


# In[5]:


def mse(model, idx):
    with torch.no_grad():
        return ((model(X[idx]) - y[idx])**2).mean().item()


# In[6]:


def train(trial):
    torch.manual_seed(trial.seed('init'))
    model = make_model()
    opt = trial.optimizer(model)
    g = torch.Generator().manual_seed(trial.seed('data'))
    history = []
    for epoch in trial.epochs(8):
        for idx in tr[torch.randperm(len(tr), generator=g)].split(32):
            opt.zero_grad()
            loss = ((model(X[idx]) - y[idx])**2).mean()
            loss.backward()
            opt.step()
        with trial.evaluation():
            history.append((mse(model, va), mse(model, te)))
        trial.report(valid_mse=history[-1][0], test_mse=history[-1][1])


# In[7]:


print('mean of the target', y.mean().item())


# In[ ]:




